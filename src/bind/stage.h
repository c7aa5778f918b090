/* The stage on which policies are tried (lunette/test/): a real host whose clients and servers
 * are played by Lua. Messages are texts, as they would be on a pipe; what the host says to either
 * side waits here as events until Lua asks for them, so that no Lua runs inside the loop. */
#ifndef LN_BIND_STAGE_H
#define LN_BIND_STAGE_H

#include "proxy/host.h"
#include "script/vm.h"

struct ln_stage;

/* Of this host alone, from before its first session on: no server of it is reached any more, each
 * is played. The host is borrowed. NULL: out of memory. */
struct ln_stage *ln_stage_new(struct ln_host *h);
/* Ends the clients' sessions. Before the host is closed. */
void ln_stage_leave(struct ln_stage *st);
/* After the loop has run dry. NULL is fine. */
void ln_stage_free(struct ln_stage *st);

/* For Lua, with the stage's arguments from the index on; each pushes its results and says how many.
 * All may throw.
 *
 * play(name): a server of that name is there; play(name, why): it can't be had. */
LN_THROWS int ln_stage_play(struct ln_stage *st, struct lua_State *L, int at);
/* join(transport, headers) -> a client's number; nil and why. headers: "name\0value\0" of each of
 * the HTTP headers that its messages come with, names in lower case; "": none */
LN_THROWS int ln_stage_join(struct ln_stage *st, struct lua_State *L, int at);
/* part(client) */
LN_THROWS int ln_stage_part(struct ln_stage *st, struct lua_State *L, int at);
/* say(client, text) -> true; nil and what is wrong with the text */
LN_THROWS int ln_stage_say(struct ln_stage *st, struct lua_State *L, int at);
/* reply(session, text): a message of the server in that session -> true; nil when it has gone */
LN_THROWS int ln_stage_reply(struct ln_stage *st, struct lua_State *L, int at);
/* hang_up(session, why): the server is lost */
LN_THROWS int ln_stage_hang_up(struct ln_stage *st, struct lua_State *L, int at);
/* divert(): what the policy asks for by HTTP is an event from now on and goes nowhere */
LN_THROWS int ln_stage_divert(struct ln_stage *st, struct lua_State *L, int at);
/* answer(request, response[, why]): a response as HTTP writes it; nil: there is none, for that
 * reason */
LN_THROWS int ln_stage_answer(struct ln_stage *st, struct lua_State *L, int at);
/* wait(seconds) -> { kind =, id =, text = }, the next event, or nothing within that time. Kinds:
 * "client" (to the client of that number), "server" (to the server, in the session of that
 * number), "open" (a session with a server, text is its name), "gone" (the session has ended),
 * "http" (a request of that number, its head, an empty line and its body) */
LN_THROWS int ln_stage_wait(struct ln_stage *st, struct lua_State *L, int at);

#endif
