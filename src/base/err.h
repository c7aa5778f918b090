/* The one table of errors. Functions return 0 (LN_OK) or one of these negative numbers;
 * each has a name for logs, a sentence for people and the JSON-RPC code it becomes when it
 * ends a request (0: never shown to a peer as such). */
#ifndef LN_BASE_ERR_H
#define LN_BASE_ERR_H

#include "base/base.h"

#define LN_ERRORS(X)                                                     \
  X(ENOMEM, -1, -32603, "out of memory")                                 \
  X(ELIMIT, -2, -32600, "a configured limit was exceeded")               \
  X(ESYNTAX, -3, -32700, "malformed input")                              \
  X(EUTF8, -4, -32700, "not valid UTF-8")                                \
  X(EDEPTH, -5, -32600, "nested too deeply")                             \
  X(EDUPLICATE, -6, -32600, "a member name appears twice in one object") \
  X(EINVALID, -7, -32600, "not a valid message")                         \
  X(EPARAMS, -8, -32602, "invalid parameters")                           \
  X(ENOTFOUND, -9, -32602, "no such thing")                              \
  X(EMETHOD, -10, -32601, "no such method")                              \
  X(EREFUSED, -11, -32600, "refused by policy")                          \
  X(ECLOSED, -12, -32603, "the connection was closed")                   \
  X(ETIMEOUT, -13, -32603, "the deadline passed")                        \
  X(ECANCELLED, -14, -32603, "cancelled")                                \
  X(ECONNECT, -15, -32603, "could not connect")                          \
  X(EPROTOCOL, -16, -32603, "the peer broke the protocol")               \
  X(ESYSTEM, -17, -32603, "a system call failed")                        \
  X(EBUSY, -18, -32603, "too much is under way already")                 \
  X(ESCRIPT, -19, -32603, "the policy failed")                           \
  X(EAGAIN, -20, 0, "more input is needed")                              \
  X(EFULL, -21, 0, "the queue is full; wait for the drain event")

enum ln_err {
  LN_OK = 0,
#define LN_ERR_ENUM(name, num, rpc, text) LN_##name = num,
  LN_ERRORS(LN_ERR_ENUM)
#undef LN_ERR_ENUM
};

/* Both take any int; unknown numbers give "EUNKNOWN" and a sentence saying so. */
const char *ln_err_name(int err);
const char *ln_err_text(int err);
/* The JSON-RPC code for err; -32603 where the table has none. */
int ln_err_rpc_code(int err);

#endif
