/* For `lunette test` (lunette/test/init.lua): clients and servers that are played by Lua, around a
 * real host. Messages are texts, as on a pipe; those from the host are kept here as events until
 * Lua takes them, so that no Lua runs inside the loop. */
#ifndef LN_BIND_TEST_HARNESS_H
#define LN_BIND_TEST_HARNESS_H

#include "proxy/core/host.h"
#include "script/throws.h"

struct ln_test_harness;
struct lua_State;

/* From now on all servers of the host are played; to be called before its first session. The host
 * is borrowed. NULL: out of memory. */
struct ln_test_harness *ln_test_harness_new(struct ln_host *h);
/* Ends the clients' sessions. Before the host is closed. */
void ln_test_harness_leave(struct ln_test_harness *th);
/* After the loop has nothing left to do. NULL is fine. */
void ln_test_harness_free(struct ln_test_harness *th);

/* For Lua: what to do is the string at the index, its arguments come after; pushes the results and
 * says how many.
 *
 * play(name): a server of that name is there; play(name, why): it can't be had
 * join(transport, headers) -> a client's number; nil and why. headers: "name\0value\0" of each of
 *   the HTTP headers that its messages come with, names in lower case; "": none
 * headers(client, headers): what its messages come with from now on
 * part(client)
 * say(client, text) -> true; nil and what is wrong with the text
 * reply(session, text): a message of the server in that session -> true; nil when it has gone
 * hang_up(session, why): the server is lost
 * divert(): what the policy asks for by HTTP is an event from now on and goes nowhere
 * answer(request, response[, why]): a response as HTTP writes it; nil: there is none, for that
 *   reason
 * wait(seconds) -> { kind =, id =, text = }, the next event, or nothing within that time. Kinds:
 *   "client" (to the client of that number), "server" (to the server, in the session of that
 *   number), "open" (a session with a server, text is its name), "gone" (the session has ended),
 *   "http" (a request of that number, its head, an empty line and its body) */
LN_THROWS int ln_test_harness_act(struct ln_test_harness *th, struct lua_State *L, int at);

#endif
