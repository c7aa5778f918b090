/* Lists: what the rules of a policy make of the items of a kind. */
#ifndef LN_SCRIPT_PRESENT_H
#define LN_SCRIPT_PRESENT_H

#include "base/buf.h"
#include "mcp/kind.h"

struct ln_exchange;
struct ln_policy;
struct ln_transform;

/* A name that an item had until the rule at `until` changed it. */
struct ln_old_name {
  unsigned until;
  struct ln_bytes *name;
};

struct ln_view_item {
  /* in */
  const char *server; /* NULL for the policy's own components */
  struct ln_str json; /* the server's own definition, raw */
  struct ln_str name; /* as presented before any rule (prefix on), unescaped; for resources and
                         templates the URI (template) */
  /* out, one reference each, the caller's; zeroed on entry */
  bool hidden;
  struct ln_bytes
      *new_name; /* NULL: name stands. Unescaped. The caller splices it into the JSON. */
  struct ln_bytes *new_json;      /* NULL: json stands (but for the name) */
  struct ln_transform *transform; /* what its calls go through; NULL: nothing */
  struct ln_bytes *failed;        /* a rule could not be applied, so the item is hidden: the
                                     message, with file:line */
  struct ln_old_name *old;        /* malloc'ed, NULL when never renamed */
  size_t n_old;
  struct ln_bytes
      *why; /* with explain: a line for each rule that touched it, "FILE:LINE verb detail\n" */
};

/* True when some rule for this kind takes ctx, so that each client has a view of its own. */
bool ln_policy_per_client(const struct ln_policy *p, enum ln_kind kind);
/* False when no function of this policy is ever handed a ctx for a request, so that what only a ctx
 * tells need not be kept. */
bool ln_policy_uses_ctx(const struct ln_policy *p);
/* True when the definitions of this kind matter: there is a rule, or a handler whose `where` looks
 * at what is used. */
bool ln_policy_has_rules(const struct ln_policy *p, enum ln_kind kind);
/* True when a rule could hide a component with this name that no list has shown: hide or only by
 * matching glob, or any rule that decides by code (filter, where). */
bool ln_policy_may_hide(const struct ln_policy *p, enum ln_kind kind, struct ln_str name);
enum {
  LN_PRESENT_EXPLAIN = 1,  /* each item's way through the rules is wanted */
  LN_PRESENT_COMPLETE = 2, /* the items are all that there are: rules that chose none of them are
                              logged once (not when explained) */
  LN_PRESENT_TRIAL = 4     /* for no client: only as far as the first rule that takes ctx */
};
/* Applies the rules of a kind to items, in their order. x: for whom (NULL: for everybody). A rule
 * that fails (error in a filter, a transform that can't hold) hides the item and logs file:line.
 * how: of the above. LN_ESCRIPT only when the machinery itself failed. */
int ln_policy_present(struct ln_policy *p, enum ln_kind kind, struct ln_view_item *items, size_t n,
                      struct ln_exchange *x, unsigned how) LN_CHECK;
/* What has been told so far of rules and handlers that chose nothing: "FILE:LINE\ttext" lines. One
 * reference, the caller's; NULL when it can't be had. */
struct ln_bytes *ln_policy_unmatched(struct ln_policy *p);
void ln_view_item_deinit(struct ln_view_item *item); /* the out members */

#endif
