/* Session ids that say whose they are; see front_ticket.h. Inside the seal: a byte for the format,
 * the epoch (4 bytes), the time (8 bytes), both with the high byte first, and the params. */
#include "proxy/front_ticket.h"

#include "json/json.h"
#include "net/seal.h"

enum { FORMAT = 1, HEADER = 13, SECONDS_A_DAY = 86400 };

_Static_assert((HEADER + LN_TICKET_PARAMS + LN_SEAL_NONCE + LN_SEAL_TAG) * 4 / 3 < LN_TICKET_MAX,
               "the longest ticket has no room");
_Static_assert((int)LN_TICKET_NAME == (int)LN_SEAL_NAME, "a ticket is called by its nonce");

static const struct ln_str context = {"lunette session", 15};

/* The raw value of a member, or its substitute. */
static struct ln_str member(struct ln_str object, const char *name, const char *otherwise) {
  struct ln_json_item it;
  return object.p && ln_json_get(object, name, &it) ? it.value : ln_str_c(otherwise);
}

/* What is needed to serve the client: descriptions, icons and the like it can do without. */
static int essence(struct ln_str params, struct ln_buf *out) {
  struct ln_str info = member(params, "clientInfo", "{}");
  struct ln_str version = member(params, "protocolVersion", "null"),
                caps = member(params, "capabilities", "{}");
  struct ln_str name = member(info, "name", "null"), release = member(info, "version", "null");
  return ln_buf_printf(out,
                       "{\"protocolVersion\":%.*s,\"capabilities\":%.*s,"
                       "\"clientInfo\":{\"name\":%.*s,\"version\":%.*s}}",
                       LN_STR_ARG(version), LN_STR_ARG(caps), LN_STR_ARG(name),
                       LN_STR_ARG(release));
}

static void put(char *to, uint64_t value, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = (char)(value >> 8 * (n - 1 - i));
}

static uint64_t take(const char *from, size_t n) {
  uint64_t value = 0;
  for (size_t i = 0; i < n; i++) value = value << 8 | (unsigned char)from[i];
  return value;
}

int ln_ticket_write(const unsigned char key[32], const struct ln_ticket *t, struct ln_buf *out) {
  char header[HEADER] = {FORMAT};
  put(header + 1, t->epoch, 4);
  put(header + 5, t->issued, 8);
  struct ln_buf plain;
  ln_buf_init(&plain, HEADER + LN_TICKET_PARAMS);
  int rc = ln_buf_append(&plain, header, sizeof header);
  if (!rc && t->params.n <= LN_TICKET_PARAMS)
    rc = ln_buf_append_str(&plain, t->params);
  else if (!rc)
    rc = essence(t->params, &plain);
  if (!rc) rc = ln_seal_write(key, context, ln_buf_str(&plain), out);
  ln_buf_deinit(&plain);
  return rc;
}

int ln_ticket_read(const unsigned char key[32], struct ln_str id, uint64_t now,
                   struct ln_buf *plain, struct ln_ticket *t) {
  if (id.n > LN_TICKET_MAX) return LN_EINVALID;
  int rc = ln_seal_read(key, context, id, plain);
  if (rc) return rc;
  const char *p = plain->data;
  if (plain->len < HEADER || p[0] != FORMAT) return LN_EINVALID;
  *t = (struct ln_ticket){
      (uint32_t)take(p + 1, 4), take(p + 5, 8), {p + HEADER, plain->len - HEADER}};
  /* One from the future is of a clock that was set back since. */
  uint64_t age = now > t->issued ? now - t->issued : 0;
  return age > (uint64_t)LN_TICKET_DAYS * SECONDS_A_DAY ? LN_EINVALID : LN_OK;
}
