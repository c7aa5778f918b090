/* What comes in over links; see receive.h. */
#include "proxy/server/receive.h"

#include <stdio.h>

static struct ln_log *log_of(const struct ln_link *link) {
  return link->server->host->log;
}

static void response_in(struct ln_link *link, struct ln_msg *msg) {
  int64_t id;
  struct ln_call *call = NULL;
  if (msg->id.p && ln_json_int(msg->id, &id)) call = ln_calls_find(&link->calls, id);
  if (!call) {
    LN_LOG(log_of(link), DEBUG, link->server->topic, "a response nobody waits for was dropped");
    ln_msg_unref(msg);
    return;
  }
  ln_loop_doing_what(link->server->host->loop, call->msg->method);
  link->served |= ln_link_ready(link);
  ln_channel_abandon(link->calls.channel, (uint64_t)call->id);
  call->answered = true;
  ln_call_end(call, msg);
}

/* The call that an unreadable text was meant to answer, or NULL: known by its stream, else by the
 * id that stands in the text; if the text was too long to be kept (absent), the only call there is.
 * The call fails now and not at its deadline. */
static struct ln_call *call_of_unreadable(struct ln_link *link, struct ln_str text,
                                          uint64_t related) {
  int64_t key = (int64_t)related;
  const char *at = related || !text.p ? NULL : memmem(text.p, text.n, "\"id\"", 4);
  if (at) {
    struct ln_str rest = {at + 4, (size_t)(text.p + text.n - at - 4)};
    while (rest.n && (*rest.p == ' ' || *rest.p == ':')) rest.p++, rest.n--;
    size_t digits = 0;
    while (digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '9') digits++;
    if (!ln_json_int((struct ln_str){rest.p, digits}, &key)) key = 0;
  }
  struct ln_call *call = key ? ln_calls_find(&link->calls, key) : NULL;
  size_t i = 0;
  struct ln_map_slot *slot;
  if (!call && !text.p && link->calls.sent.len == 1 && ln_map_next(&link->calls.sent, &i, &slot))
    call = slot->value;
  return call;
}

/* The text is no message: the call that it was meant to answer fails. */
static void unreadable_in(struct ln_link *link, struct ln_str text, uint64_t related,
                          const char *why) {
  LN_LOG(log_of(link), WARN, link->server->topic, "sent what is no message (%s): %.*s", why,
         (int)LN_MIN(text.n, (size_t)120), text.p);
  struct ln_call *call = call_of_unreadable(link, text, related);
  if (!call) return;
  ln_channel_abandon(link->calls.channel, (uint64_t)call->id);
  ln_call_fail(call, "%s", "answered with what is no message");
}

/* An error without an id: the server could not read that of the request whose stream it came on. */
static void error_without_id(struct ln_link *link, const struct ln_msg *msg, uint64_t related) {
  struct ln_call *call = ln_calls_find(&link->calls, (int64_t)related);
  struct ln_msg *own = call ? ln_msg_error_raw(msg->error) : NULL;
  if (!own) return;
  ln_channel_abandon(link->calls.channel, related);
  ln_call_end(call, own);
}

static void one_in(struct ln_link *link, struct ln_bytes *bytes, struct ln_str text,
                   uint64_t related) {
  const struct ln_settings *set = &link->server->host->settings;
  const struct ln_msg_limits limits = {.json = {.max_bytes = set->max_message_bytes,
                                                .max_depth = set->max_depth,
                                                .max_members = UINT32_MAX}};
  struct ln_msg *msg;
  struct ln_msg_fault fault;
  ln_loop_doing(link->server->host->loop, link->server->topic, LN_STR_LIT("a message"));
  int rc = ln_msg_parse(bytes, text, &limits, &msg, &fault);
  if (rc) {
    unreadable_in(link, text, related, *fault.text ? fault.text : ln_err_text(rc));
    ln_bytes_unref(fault.id_bytes);
  } else if (msg->kind == LN_MSG_ERROR && !msg->id.p && related) {
    error_without_id(link, msg, related);
    ln_msg_unref(msg);
  } else if (msg->kind == LN_MSG_RESULT || msg->kind == LN_MSG_ERROR) {
    response_in(link, msg);
  } else {
    ln_loop_doing_what(link->server->host->loop, msg->method);
    struct ln_call *call = related ? ln_calls_find(&link->calls, (int64_t)related) : NULL;
    link->server->host->link_events->message(link, msg, call);
    ln_msg_unref(msg);
  }
}

/* More in one batch would hold everybody else up. Clients' batches have a limit of their own. */
enum { MAX_BATCH = 1000 };

static void batch_in(struct ln_link *link, struct ln_bytes *bytes, struct ln_str text,
                     uint64_t related) {
  struct ln_json_cur cur = ln_json_enter(text);
  struct ln_json_item it;
  size_t n = ln_json_count(text);
  char why[64];
  snprintf(why, sizeof why, "a batch of %zu messages, more than %d", n, MAX_BATCH);
  if (n > MAX_BATCH) {
    unreadable_in(link, text, related, why);
    return;
  }
  while (link->state != LN_LINK_CLOSING && ln_json_next(&cur, &it))
    one_in(link, bytes, it.value, related);
}

void ln_receive(struct ln_link *link, struct ln_bytes *bytes, uint64_t related) {
  struct ln_str text = ln_json_trim((struct ln_str){bytes->data, bytes->len});
  struct ln_json_info info;
  struct ln_json_limits limits = LN_JSON_LIMITS_DEFAULT;
  limits.max_bytes = link->server->host->settings.max_message_bytes;
  /* 2025-03-26 servers may send batches. */
  if (text.n && text.p[0] == '[' && ln_json_scan(text, &limits, &info) == LN_OK)
    batch_in(link, bytes, text, related);
  else if (link->state != LN_LINK_CLOSING)
    one_in(link, bytes, text, related);
  ln_bytes_unref(bytes);
}

void ln_receive_dropped(struct ln_link *link, const char *why) {
  struct ln_call *call = call_of_unreadable(link, LN_STR_NONE, 0);
  if (call) ln_call_fail(call, "%s", why);
}
