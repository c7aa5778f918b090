/* Splicing for the way out; see out.h. */
#include "rpc/out.h"

void ln_out_init(struct ln_out *o, const struct ln_msg *m) {
  o->n = 0;
  o->msg = m;
  o->n_edits = 0;
  o->n_numbers = 0;
  o->flat = NULL;
}

void ln_out_replace(struct ln_out *o, struct ln_str at, struct ln_str with) {
  if (!at.p) return;
  LN_ASSERT(o->n_edits < LN_OUT_EDITS);
  /* Insertion sort by place: there are never more than four. */
  size_t i = o->n_edits++;
  for (; i > 0 && o->edits[i - 1].at.p > at.p; i--) o->edits[i] = o->edits[i - 1];
  o->edits[i] = (struct ln_edit){at, with};
}

void ln_out_replace_int(struct ln_out *o, struct ln_str at, int64_t with) {
  if (!at.p) return;
  LN_ASSERT(o->n_numbers < LN_COUNT(o->number));
  char *text = o->number[o->n_numbers++];
  size_t sign = with < 0;
  text[0] = '-';
  size_t n = sign + ln_digits(text + sign, sign ? 0 - (uint64_t)with : (uint64_t)with, 10);
  ln_out_replace(o, at, (struct ln_str){text, n});
}

struct ln_str ln_out_id(const struct ln_out *o) {
  for (size_t i = 0; i < o->n_edits; i++)
    if (o->edits[i].at.p == o->msg->id.p) return o->edits[i].with;
  return o->msg->id;
}

static int flatten(struct ln_out *o) {
  struct ln_buf whole, flat;
  ln_buf_init(&whole, SIZE_MAX / 2);
  ln_buf_init(&flat, SIZE_MAX / 2);
  for (size_t i = 0; i < o->n; i++) ln_buf_append(&whole, o->parts[i].p, o->parts[i].n);
  ln_buf_fail(&flat, ln_buf_error(&whole));
  ln_json_one_line(ln_buf_str(&whole), &flat);
  ln_buf_deinit(&whole);
  o->flat = ln_buf_finish(&flat);
  if (!o->flat) return LN_ENOMEM;
  o->parts[0] = (struct ln_iov){o->flat->data, o->flat->len, o->flat};
  o->n = 1;
  return LN_OK;
}

int ln_out_finish(struct ln_out *o, bool one_line) {
  int n = ln_json_splice(o->msg->text, o->msg->bytes, o->edits, o->n_edits, o->parts,
                         LN_COUNT(o->parts));
  if (n < 0) return n;
  o->n = (size_t)n;
  return one_line && o->msg->newlines ? flatten(o) : LN_OK;
}

void ln_out_deinit(struct ln_out *o) {
  ln_bytes_unref(o->flat);
}
