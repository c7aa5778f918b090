/* What is in a session id; see session_id.h. Inside the seal: a byte for the format,
 * the epoch (4 bytes), the time (8 bytes), both with the high byte first, and the params. */
#include "proxy/http/session_id.h"

#include "json/json.h"

enum { FORMAT = 1, HEADER = 13, SECONDS_A_DAY = 86400 };

_Static_assert((HEADER + LN_SESSION_ID_PARAMS + LN_SEAL_NONCE + LN_SEAL_TAG) * 4 / 3 <
                   LN_SESSION_ID_MAX,
               "the longest id has no room");

static const struct ln_str context = {"lunette session", 15};

/* The raw value of a member, or `otherwise` when it is missing. */
static struct ln_str member(struct ln_str object, const char *name, const char *otherwise) {
  struct ln_json_item it;
  return object.p && ln_json_get(object, name, &it) ? it.value : ln_str_c(otherwise);
}

/* The members that are needed to serve the client: without descriptions, icons and the like. */
static void append_needed(struct ln_str params, struct ln_buf *out) {
  struct ln_str info = member(params, "clientInfo", "{}");
  struct ln_str version = member(params, "protocolVersion", "null"),
                caps = member(params, "capabilities", "{}");
  struct ln_str name = member(info, "name", "null"), release = member(info, "version", "null");
  ln_buf_printf(out,
                "{\"protocolVersion\":%.*s,\"capabilities\":%.*s,"
                "\"clientInfo\":{\"name\":%.*s,\"version\":%.*s}}",
                LN_STR_ARG(version), LN_STR_ARG(caps), LN_STR_ARG(name), LN_STR_ARG(release));
}

static void put(char *to, uint64_t value, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = (char)(value >> 8 * (n - 1 - i));
}

static uint64_t take(const char *from, size_t n) {
  uint64_t value = 0;
  for (size_t i = 0; i < n; i++) value = value << 8 | (unsigned char)from[i];
  return value;
}

int ln_session_id_write(const unsigned char key[LN_SEAL_KEY], const struct ln_session_id *id,
                        struct ln_buf *out) {
  char header[HEADER] = {FORMAT};
  put(header + 1, id->epoch, 4);
  put(header + 5, id->issued, 8);
  struct ln_buf plain;
  ln_buf_init(&plain, HEADER + LN_SESSION_ID_PARAMS);
  ln_buf_append(&plain, header, sizeof header);
  if (id->params.n <= LN_SESSION_ID_PARAMS)
    ln_buf_append_str(&plain, id->params);
  else
    append_needed(id->params, &plain);
  int rc = ln_buf_error(&plain);
  if (!rc) rc = ln_seal_write(key, context, ln_buf_str(&plain), out);
  ln_buf_deinit(&plain);
  return rc;
}

int ln_session_id_read(const unsigned char key[LN_SEAL_KEY], struct ln_str text, uint64_t now,
                       struct ln_buf *plain, struct ln_session_id *id) {
  if (text.n > LN_SESSION_ID_MAX) return LN_EINVALID;
  int rc = ln_seal_read(key, context, text, plain);
  if (rc) return rc;
  const char *p = plain->data;
  if (plain->len < HEADER || p[0] != FORMAT) return LN_EINVALID;
  *id = (struct ln_session_id){
      (uint32_t)take(p + 1, 4), take(p + 5, 8), {p + HEADER, plain->len - HEADER}};
  /* If it is in the future, the clock was set back. */
  uint64_t age = now > id->issued ? now - id->issued : 0;
  return age > (uint64_t)LN_SESSION_ID_DAYS * SECONDS_A_DAY ? LN_EINVALID : LN_OK;
}
