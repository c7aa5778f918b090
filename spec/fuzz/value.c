/* Tables laid back over the JSON they came from (script/value_*.c). What is generated, edited and
 * demanded is in value.lua, run here as the policy of a proxy that does nothing; an error in it is
 * a finding. */
#include <stdio.h>
#include <stdlib.h>

#include "bind/core.h"
#include "script/policy.h"

static struct ln_policy *policy;
static struct ln_loop *loop;
static struct ln_log logger;

static void exchange_nothing(struct ln_exchange *x) {
  (void)x;
}

static void load(void) {
  const char *file = __FILE__;
  char path[4096], *why;
  snprintf(path, sizeof path, "%.*slua", (int)strlen(file) - 1, file);
  ln_log_init(&logger, 2);
  loop = ln_loop_new(&logger);
  struct ln_policy_host host = {.open = ln_core_open,
                                .exchange_ref = exchange_nothing,
                                .exchange_unref = exchange_nothing,
                                .loop = loop,
                                .log = &logger};
  struct ln_target target = {LN_TARGET_LUA, path, NULL};
  policy = ln_policy_load(&host, &target, 1, &why, NULL);
  if (policy) return;
  fprintf(stderr, "%s\n", why);
  abort();
}

static void on_done(void *arg, struct ln_msg *reply) {
  *(bool *)arg = true;
  if (reply->kind == LN_MSG_ERROR) abort(); /* the log has said why */
  ln_msg_unref(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!policy) load();
  if (size > 2048) return -1;
  struct ln_buf params;
  ln_buf_init(&params, 1 << 16);
  bool ok = ln_buf_append_c(&params, "{\"name\":\"try\",\"arguments\":{\"hex\":\"") == 0;
  for (size_t i = 0; i < size; i++) ok &= ln_buf_printf(&params, "%02x", data[i]) == 0;
  ok &= ln_buf_append_c(&params, "\"}}") == 0;
  if (!ok) abort();
  struct ln_msg *m = ln_msg_request("tools/call", ln_buf_str(&params));
  bool done = false;
  ln_policy_run_component(policy, 0, LN_STR_NONE, m, NULL, on_done, &done);
  while (!done) ln_loop_run(loop);
  ln_msg_unref(m);
  ln_buf_deinit(&params);
  if (ln_msg_live() || ln_bytes_live() > 16) abort(); /* the codec keeps its buffers */
  return 0;
}
