/* Names, sentences and JSON-RPC codes of the error table. */
#include "base/err.h"

struct row {
  int err;
  int rpc;
  const char *name;
  const char *text;
};

static const struct row rows[] = {{LN_OK, 0, "OK", "no error"},
#define LN_ERR_ROW(name, num, rpc, text) {num, rpc, #name, text},
                                  LN_ERRORS(LN_ERR_ROW)
#undef LN_ERR_ROW
};

static const struct row *row_of(int err) {
  /* The table is dense: row i holds -i. */
  if (err > 0 || err <= -(int)LN_COUNT(rows)) return NULL;
  return &rows[-err];
}

const char *ln_err_name(int err) {
  const struct row *r = row_of(err);
  return r ? r->name : "EUNKNOWN";
}

const char *ln_err_text(int err) {
  const struct row *r = row_of(err);
  return r ? r->text : "an unknown error";
}

int ln_err_rpc_code(int err) {
  const struct row *r = row_of(err);
  return r && r->rpc ? r->rpc : -32603;
}
