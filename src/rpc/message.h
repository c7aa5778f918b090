/* A JSON-RPC message of MCP: proven bytes and the slices that routing needs. Immutable and
 * counted; a changed message is a new one.
 *
 * The strict rules are for what could be read differently by a server than by a policy
 * (the specs numbered 78 to 82): twin members at any depth, case twins of members that routing
 * reads, ids that are no string or plain integer, escapes or control bytes in a method. What a
 * server sends may have any of them: of twins the last counts, a name of the wrong type none. */
#ifndef LN_RPC_MESSAGE_H
#define LN_RPC_MESSAGE_H

#include "base/buf.h"
#include "json/json.h"

enum ln_msg_kind { LN_MSG_REQUEST, LN_MSG_NOTIFICATION, LN_MSG_RESULT, LN_MSG_ERROR };

struct ln_msg {
  uint32_t refs;
  enum ln_msg_kind kind;
  bool newlines;          /* raw line breaks between tokens */
  struct ln_bytes *bytes; /* counted by the message */
  struct ln_str text;     /* the whole message inside bytes, no white space around */
  struct ln_str jsonrpc;  /* raw */
  struct ln_str id;       /* raw, quotes and all; absent in notifications */
  struct ln_str method;   /* requests and notifications: the inside of the string, no escapes */
  struct ln_str params;   /* raw object (or array); absent when there is none */
  struct ln_str result;   /* raw */
  struct ln_str error;    /* raw object */
  /* From params, raw values with quotes; absent when missing: */
  struct ln_str name;           /* params.name */
  struct ln_str uri;            /* params.uri */
  struct ln_str arguments;      /* params.arguments */
  struct ln_str meta;           /* params._meta */
  struct ln_str ref;            /* params.ref */
  struct ln_str task;           /* params.task */
  struct ln_str task_id;        /* params.taskId */
  struct ln_str related_task;   /* params._meta["io.modelcontextprotocol/related-task"] */
  struct ln_str progress_token; /* requests: params._meta.progressToken; notifications/progress:
                                   params.progressToken */
};

struct ln_msg_limits {
  struct ln_json_limits json;
  bool strict; /* from a client */
};

/* What is wrong with a text that is no message, for the error reply. */
struct ln_msg_fault {
  int code; /* JSON-RPC: -32700, -32600 … */
  char text[160];
  struct ln_bytes *id_bytes; /* the id, when there is one to answer to; the caller's reference */
};

/* Proves and indexes a text. bytes is referenced by the message. On error fault is filled (deinit
 * not needed unless id_bytes) and one of err.h returned. Arrays (batches) are LN_EINVALID. */
int ln_msg_parse(struct ln_bytes *bytes, struct ln_str text, const struct ln_msg_limits *limits,
                 struct ln_msg **out, struct ln_msg_fault *fault) LN_CHECK;
struct ln_msg *ln_msg_ref(struct ln_msg *m);
void ln_msg_unref(struct ln_msg *m); /* NULL is fine */
size_t ln_msg_live(void);            /* for tests */

/* Messages of our own. All texts given must be valid JSON. The first two are never NULL then:
 * without memory they are an error that says so. */
struct ln_msg *ln_msg_result(struct ln_str result);
struct ln_msg *ln_msg_error(int code, const char *message, struct ln_str data /* raw or absent */);
/* NULL when out of memory, as all below. */
struct ln_msg *ln_msg_error_raw(struct ln_str error /* the error object */);
/* What an error's message says, as text for people and ended by NUL: escapes undone, cut to max
 * bytes but not within a character; "no reason given" where there is none. */
void ln_msg_error_words(const struct ln_msg *m, char *out, size_t max);
struct ln_msg *ln_msg_request(const char *method, struct ln_str params);
struct ln_msg *ln_msg_notification(const char *method, struct ln_str params);
/* The message with its params replaced: a new message. */
struct ln_msg *ln_msg_with_params(const struct ln_msg *m, struct ln_str params);
/* The message with one slice of its text replaced; itself (one reference) where nothing differs. */
struct ln_msg *ln_msg_with(struct ln_msg *m, struct ln_str at, struct ln_str text);
/* The message with edits carried out (slices of m->text, in order): a new message. */
struct ln_msg *ln_msg_edit(const struct ln_msg *m, const struct ln_edit *edits, size_t n);

/* For the other files of rpc/. A message of these bytes, referenced, with nothing else in it. NULL
 * when out of memory. */
struct ln_msg *ln_msg_alloc(struct ln_bytes *bytes);
/* Picks the slices out of proven text, an object in bytes. newlines: it has raw line breaks between
 * tokens. Errors and fault as of ln_msg_parse. */
int ln_msg_index(struct ln_bytes *bytes, struct ln_str text, bool newlines, bool strict,
                 struct ln_msg **out, struct ln_msg_fault *fault) LN_CHECK;

#endif
