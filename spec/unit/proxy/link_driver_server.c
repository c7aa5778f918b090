/* Played servers: channels, and what links tell upward; see link_driver.h. */
#include "link_driver.h"
#include "proxy/server/receive.h"

/* --- channels --- */

static int channel_send(struct ln_channel *c, const struct ln_iov *parts, size_t n,
                        const struct ln_channel_note *note) {
  static const char *const kinds[] = {"request", "notification", "response"};
  struct played *p = (struct played *)c;
  struct ln_buf b;
  ln_buf_init(&b, 1 << 20);
  for (size_t i = 0; i < n; i++) ln_buf_append(&b, parts[i].p, parts[i].n);
  LN_ASSERT(ln_buf_error(&b) == LN_OK && (note->kind == LN_NOTE_REQUEST) == (note->tag != 0));
  int rc = p->rc;
  p->rc = LN_OK;
  const char *word = note->initialize ? "initialize" : kinds[note->kind];
  if (rc && rc != LN_EFULL)
    rig_tell("%d> not taken: %s", p->n, ln_err_name(rc));
  else if (note->tag)
    rig_tell("%d> %s %d %.*s", p->n, word, (int)note->tag, LN_STR_ARG(ln_buf_str(&b)));
  else
    rig_tell("%d> %s %.*s", p->n, word, LN_STR_ARG(ln_buf_str(&b)));
  ln_buf_deinit(&b);
  return rc;
}

static void channel_initialized(struct ln_channel *c, const char *version, bool listen) {
  rig_tell("%d> initialized %s%s", ((struct played *)c)->n, version, listen ? "" : ", deaf");
}
static void channel_abandon(struct ln_channel *c, uint64_t tag) {
  rig_tell("%d> abandon %d", ((struct played *)c)->n, (int)tag);
}
static void channel_pause(struct ln_channel *c) {
  rig_tell("%d> pause", ((struct played *)c)->n);
}
static void channel_resume(struct ln_channel *c) {
  rig_tell("%d> resume", ((struct played *)c)->n);
}
static void channel_close(struct ln_channel *c) {
  struct played *p = (struct played *)c;
  LN_ASSERT(!p->closing);
  p->closing = true;
  rig_tell("%d> close", p->n);
}

static const struct ln_channel_ops channel_ops = {channel_send,    channel_initialized,
                                                  channel_abandon, channel_pause,
                                                  channel_resume,  channel_close};

struct ln_channel *rig_dial(void *arg, const struct ln_server_conf *conf,
                            const struct ln_channel_events *events, void *owner, const char **why) {
  struct rig *r = arg;
  if (r->no_dial) {
    *why = r->no_dial;
    rig_tell("dial fails");
    return NULL;
  }
  LN_ASSERT(r->n_channels + 1 < MOST);
  struct played *p = calloc(1, sizeof *p);
  p->c = (struct ln_channel){.ops = &channel_ops, .events = events, .arg = owner};
  p->n = ++r->n_channels;
  r->channels[p->n] = p;
  rig_tell("dial %d %s", p->n, conf->name);
  return &p->c;
}

/* Its events are called as libuv would have them called: channel->events->message(channel->arg, …);
 * but for the last, after which it is gone. NULL: it is. */
struct ln_channel *rig_channel(struct rig *r, int n) {
  return r->channels[n] ? &r->channels[n]->c : NULL;
}
void rig_channel_rc(struct rig *r, int n, int rc) {
  r->channels[n]->rc = rc;
}
void rig_closed(struct rig *r, int n, int err, const char *why) {
  struct played *p = r->channels[n];
  r->channels[n] = NULL;
  p->c.events->closed(p->c.arg, err, why);
  free(p);
}

/* --- what links tell --- */

static int number_of(const struct ln_link *link) {
  return ((const struct played *)link->calls.channel)->n;
}

static struct ln_msg *init_request(struct ln_link *link) {
  (void)link;
  return rig_the->no_init_request ? NULL : ln_msg_request("initialize", LN_STR_LIT("{}"));
}

static int initialized(struct ln_link *link, bool *client_ready) {
  *client_ready = rig_the->client_ready;
  rig_tell("%d: initialized %.*s", number_of(link), LN_STR_ARG(link->capabilities));
  return rig_the->initialized_rc;
}

static void opened(struct ln_link *link) {
  rig_tell("%d: opened", number_of(link));
}
static void reopened(struct ln_link *link) {
  rig_tell("%d: reopened", number_of(link));
}

static void message(struct ln_link *link, struct ln_msg *msg, struct ln_call *call) {
  rig_tell("%d: message %d %.*s", number_of(link), call ? (int)call->id : 0, LN_STR_ARG(msg->text));
}

static void replied(struct ln_call *call, struct ln_msg *reply) {
  rig_tell("%d: replied %d %s", number_of(ln_link_of(call->calls)), (int)call->id,
           call->answered ? "by the server" : "by us");
  call->reply(call->arg, reply);
}

static void hear(void *arg, struct ln_msg *reply) {
  const struct ln_calls *c = arg;
  rig_tell("%d: heard %.*s", number_of(ln_link_of((struct ln_calls *)c)), LN_STR_ARG(reply->text));
  ln_msg_unref(reply);
}

static ln_reply_fn abandoned(const struct ln_call *call) {
  (void)call;
  return rig_the->heard ? hear : NULL;
}

static bool is_fake(const struct ln_exchange *x) {
  return (const char *)x >= rig_the->fakes && (const char *)x < rig_the->fakes + MOST;
}

static void release(struct ln_exchange *x) {
  if (!is_fake(x)) {
    ln_exchange_unref(x);
    return;
  }
  rig_the->fakes_live--;
  rig_tell("release %d", (int)((const char *)x - rig_the->fakes));
}

static void disconnected(struct ln_call *call, uint64_t retry_ms) {
  rig_tell("%d: disconnected %d for %d", number_of(ln_link_of(call->calls)), (int)call->id,
           (int)retry_ms);
}

static void stalled(struct ln_link *link, bool now) {
  rig_tell("%d: %s", number_of(link), now ? "stalled" : "no longer stalled");
  if (link->owner) ln_session_stall(link->owner, now);
}

static bool forgotten(struct ln_link *link, struct ln_call *call) {
  rig_tell("%d: forgotten %d", number_of(link), (int)call->id);
  return ln_pool_link_forgotten(link, call);
}

static void used(struct ln_link *link) {
  if (rig_the->tell_use) rig_tell("%d: used", number_of(link));
}

static void lost(struct ln_link *link) {
  rig_tell("%d: lost", number_of(link));
  ln_pool_link_lost(link);
}
static void detached(struct ln_link *link) {
  rig_tell("%d: detached", number_of(link));
  ln_pool_link_detached(link);
}
static void ended(struct ln_link *link) {
  rig_tell("%d: ended", number_of(link));
  ln_exchange_link_ends(link);
}
static void freed(struct ln_link *link) {
  rig_tell("%d: freed", number_of(link));
}
static void server_ends(struct ln_server *server) {
  rig_tell("%s ends", server->conf->name);
}

const struct ln_link_events rig_link_events = {
    .init_request = init_request,
    .initialized = initialized,
    .opened = opened,
    .used = used,
    .reopened = reopened,
    .received = ln_receive,
    .dropped = ln_receive_dropped,
    .message = message,
    .replied = replied,
    .abandoned = abandoned,
    .release = release,
    .disconnected = disconnected,
    .stalled = stalled,
    .forgotten = forgotten,
    .lost = lost,
    .detached = detached,
    .ended = ended,
    .freed = freed,
    .server_ends = server_ends,
};

/* --- what links are told by the rooms above, as switches --- */

void rig_no_dial(struct rig *r, const char *why) {
  r->no_dial = why;
}
void rig_client_ready(struct rig *r, bool yes) {
  r->client_ready = yes;
}
void rig_initialized_rc(struct rig *r, int rc) {
  r->initialized_rc = rc;
}
void rig_no_init_request(struct rig *r) {
  r->no_init_request = true;
}
void rig_tell_use(struct rig *r, bool yes) {
  r->tell_use = yes;
}
void rig_heard(struct rig *r, bool yes) {
  r->heard = yes;
}
