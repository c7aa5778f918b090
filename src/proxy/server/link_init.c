/* The first words in a session with a server: initialize, its answer, notifications/initialized,
 * and then what waited for these; see link.h. */
#include <stdio.h>

#include "mcp/method.h"
#include "proxy/server/idle.h"
#include "proxy/server/link_impl.h"

/* It can't be initialized: counts as a failure of the server, and it is closed. */
static void give_up(struct ln_link *link, const char *why) {
  ln_link_failed(link, why, why);
  ln_link_close(link, why);
}

/* What it says is for whom it was asked: other clients of the server hear only that it refuses. */
static void refused(struct ln_link *link, struct ln_msg *reply) {
  char words[400], why[512], told[64];
  struct ln_json_item code;
  bool has = ln_json_get(reply->error, "code", &code);
  ln_msg_error_words(reply, words, sizeof words);
  snprintf(why, sizeof why, "refused initialize: %s", words);
  snprintf(told, sizeof told, "refused initialize (error %.*s)", has ? (int)code.value.n : 1,
           has ? code.value.p : "?");
  ln_link_failed(link, why, link->server->host->asked_once ? why : told);
  ln_link_close(link, why);
}

static void send_initialized(struct ln_link *link, struct ln_msg *initialized) {
  if (link->state != LN_LINK_READY) return;
  struct ln_msg *m = initialized ? ln_msg_ref(initialized)
                                 : ln_msg_notification("notifications/initialized", LN_STR_NONE);
  if (m) ln_link_notify(link, m);
  ln_msg_unref(m);
  ln_link_set_state(link, LN_LINK_OPEN);
  ln_link_events_of(link)->opened(link);
}

void ln_link_send_waiting(struct ln_link *link) {
  struct ln_list *l;
  if (!ln_list_empty(&link->calls.waiting)) send_initialized(link, NULL);
  while (link->state == LN_LINK_OPEN && (l = ln_list_shift(&link->calls.waiting)))
    ln_call_send(LN_CONTAINER(l, struct ln_call, in_queue));
}

void ln_link_client_initialized(struct ln_link *link, struct ln_msg *initialized) {
  if (link->state != LN_LINK_READY) return;
  send_initialized(link, initialized);
  ln_link_send_waiting(link);
}

/* Takes over the answer to initialize. NULL, or what is wrong with it. */
static const char *read_init_reply(struct ln_link *link, struct ln_msg *reply,
                                   struct ln_str *version) {
  struct ln_json_item it;
  if (!ln_json_get(reply->result, "protocolVersion", &it) || it.type != LN_JSON_STRING ||
      !ln_version_known(ln_json_inside(it.value)))
    return "answered initialize with a protocol version Lunette doesn't know";
  *version = ln_json_inside(it.value);
  link->init_reply = ln_msg_ref(reply);
  bool has = ln_capability(reply->result, "capabilities", &it);
  link->capabilities = has ? it.value : LN_STR_LIT("{}");
  return NULL;
}

static void ready(struct ln_link *link, struct ln_msg *reply) {
  struct ln_str version;
  const char *wrong = read_init_reply(link, reply, &version);
  if (wrong) {
    give_up(link, wrong);
    return;
  }
  ln_link_set_state(link, LN_LINK_READY);
  ln_server_works(link->server);
  ln_channel_initialized(link->calls.channel, ln_version_answer(version), true);
  bool client_ready = false;
  if (ln_link_events_of(link)->initialized(link, &client_ready)) {
    ln_link_close(link, "out of memory");
    return;
  }
  if (client_ready) send_initialized(link, NULL);
  ln_link_tell_watchers(link, true, NULL);
  if (ln_link_ready(link)) ln_link_send_waiting(link);
  ln_idle_start(link);
  if (link->after_loss && ln_link_ready(link)) ln_link_events_of(link)->reopened(link);
  if (link->use == LN_LINK_PROBE)
    ln_link_close(link, "it was opened only to see whether the server works");
}

static void on_init_reply(void *arg, struct ln_msg *reply) {
  struct ln_link *link = arg;
  link->init_call = NULL;
  if (link->state != LN_LINK_INITIALIZING) {
    /* it is closing */
  } else if (reply->kind == LN_MSG_ERROR) {
    refused(link, reply);
  } else {
    ready(link, reply);
  }
  ln_msg_unref(reply);
}

void ln_link_begin(struct ln_link *link) {
  link->connected = true;
  if (link->state != LN_LINK_CONNECTING || link->held) return;
  ln_link_set_state(link, LN_LINK_INITIALIZING);
  struct ln_msg *m = ln_link_events_of(link)->init_request(link);
  const struct ln_call_request request = {.msg = m, .reply = on_init_reply, .arg = link};
  link->init_call = m ? ln_call_new(&link->calls, &request) : NULL;
  link->init_request = m;
  if (link->init_call)
    ln_call_send(link->init_call);
  else
    ln_link_close(link, "out of memory");
}

bool ln_link_is_initialize(const struct ln_link *link, const struct ln_call *call) {
  return call == link->init_call && link->state == LN_LINK_INITIALIZING;
}

bool ln_link_call_failing(struct ln_call *call, const char *why) {
  struct ln_link *link = ln_link_of(call->calls);
  if (!ln_link_is_initialize(link, call)) return false;
  give_up(link, why);
  return true;
}
