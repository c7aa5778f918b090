/* Base64 and dates as the official clients check them; see flaw.h. */
#include "mcp/flaw.h"

/* Larger ones are not checked: reading megabytes of base64 would hold up other messages. */
enum { MAX_BYTES = 256 << 10 };

static bool is_base64_digit(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

/* The inside of a JSON string as atob() takes it: white space, perhaps escaped, is skipped, padding
 * may be missing. */
static bool is_base64(struct ln_str raw) {
  size_t digits = 0, pads = 0;
  for (size_t i = 0; i < raw.n; i++) {
    char c = raw.p[i];
    if (c == '\\' && i + 1 < raw.n) {
      c = raw.p[++i];
      if (memchr("ntrf", c, 4)) continue;
      if (c != '/') return false;
    }
    if (c == ' ') continue;
    if (c == '=')
      pads++;
    else if (pads || !is_base64_digit(c))
      return false;
    else
      digits++;
  }
  return digits % 4 != 1 && pads <= 2 && (!pads || (digits + pads) % 4 == 0);
}

/* Two digits at p, from lo to hi. */
static bool two(const char *p, int lo, int hi) {
  if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9') return false;
  int n = (p[0] - '0') * 10 + p[1] - '0';
  return n >= lo && n <= hi;
}

/* "2025-01-12T15:00:58Z": RFC 3339; seconds and their fraction may be missing. */
static bool is_date(struct ln_str s) {
  if (s.n < 17 || !two(s.p, 0, 99) || !two(s.p + 2, 0, 99) || s.p[4] != '-' ||
      !two(s.p + 5, 1, 12) || s.p[7] != '-' || !two(s.p + 8, 1, 31) || s.p[10] != 'T' ||
      !two(s.p + 11, 0, 23) || s.p[13] != ':' || !two(s.p + 14, 0, 59))
    return false;
  size_t i = 16;
  if (i + 3 <= s.n && s.p[i] == ':') {
    if (!two(s.p + i + 1, 0, 59)) return false;
    i += 3;
    if (i + 1 < s.n && s.p[i] == '.')
      for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9';) i++;
  }
  if (i + 1 == s.n) return s.p[i] == 'Z';
  return i + 6 == s.n && (s.p[i] == '+' || s.p[i] == '-') && two(s.p + i + 1, 0, 23) &&
         s.p[i + 3] == ':' && two(s.p + i + 4, 0, 59);
}

static const char *flaw_of_date(struct ln_str annotations) {
  struct ln_json_item it;
  if (!ln_json_get(annotations, "lastModified", &it) || it.type != LN_JSON_STRING) return NULL;
  return is_date(ln_json_inside(it.value)) ? NULL : "lastModified is no RFC 3339 date";
}

static const char *flaw_of_base64(struct ln_str value) {
  return is_base64(ln_json_inside(value)) ? NULL : "data or blob is not base64";
}

/* Of the members that cur comes to, which it has stepped into; with nothing found it leaves them.
 */
static const char *flaw_inside(struct ln_json_cur *cur) {
  struct ln_json_item it, blob;
  const char *flaw = NULL;
  while (!flaw && ln_json_step(cur, &it)) {
    bool text = it.type == LN_JSON_STRING, object = it.type == LN_JSON_OBJECT;
    if (text) {
      if (ln_str_is(it.key, "data") || ln_str_is(it.key, "blob")) flaw = flaw_of_base64(it.value);
    } else if (object || it.type == LN_JSON_ARRAY) {
      struct ln_str whole = ln_json_whole(cur, &it);
      if (object && ln_str_is(it.key, "annotations"))
        flaw = flaw_of_date(whole);
      else if (object && ln_str_is(it.key, "resource") && ln_json_get(whole, "blob", &blob) &&
               blob.type == LN_JSON_STRING)
        flaw = flaw_of_base64(blob.value);
    }
  }
  ln_json_leave(cur);
  return flaw;
}

const char *ln_flaw_of_item(struct ln_str item) {
  struct ln_json_cur cur = ln_json_enter(item);
  return item.n <= MAX_BYTES ? flaw_inside(&cur) : NULL;
}

/* Of the elements of a list that cur has stepped into. */
static const char *flaw_of_list(struct ln_json_cur *cur, bool messages) {
  struct ln_json_item it;
  const char *flaw = NULL;
  while (!flaw && ln_json_step(cur, &it)) {
    if (it.type == LN_JSON_OBJECT && !messages)
      flaw = flaw_inside(cur);
    else if (it.type == LN_JSON_OBJECT && ln_json_get(ln_json_whole(cur, &it), "content", &it))
      flaw = ln_flaw_of_item(it.value);
    else if (it.type == LN_JSON_ARRAY)
      ln_json_whole(cur, &it);
  }
  ln_json_leave(cur);
  return flaw;
}

const char *ln_flaw_of_result(struct ln_str result) {
  if (result.n > MAX_BYTES) return NULL;
  struct ln_json_cur cur = ln_json_enter(result);
  struct ln_json_item it;
  const char *flaw = NULL;
  while (!flaw && ln_json_step(&cur, &it)) {
    bool messages = ln_str_is(it.key, "messages");
    if (it.type == LN_JSON_ARRAY &&
        (messages || ln_str_is(it.key, "content") || ln_str_is(it.key, "contents")))
      flaw = flaw_of_list(&cur, messages);
    else if (it.type == LN_JSON_ARRAY || it.type == LN_JSON_OBJECT)
      ln_json_whole(&cur, &it);
  }
  return flaw;
}
