/* Applying a policy's rules to lists. */
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

struct ln_present_item {
  /* in */
  const char *server; /* NULL for the policy's own components */
  struct ln_str json; /* the server's own definition, raw */
  struct ln_str name; /* as presented before any rule (prefix on), unescaped; for resources and
                         templates the URI (template) */
  /* out, one reference each, the caller's; zeroed on entry */
  bool hidden;
  struct ln_bytes
      *new_name; /* NULL: name stands. Unescaped. The caller splices it into the JSON. */
  struct ln_bytes *new_json;      /* NULL: json, but for the name */
  struct ln_transform *transform; /* what its calls go through; NULL: nothing */
  struct ln_bytes *failed;        /* a rule could not be applied, so the item is hidden: the
                                     message, with file:line */
  struct ln_old_name *old;        /* malloc'ed, NULL when never renamed */
  size_t n_old;
  struct ln_bytes
      *why; /* with explain: a line for each rule that touched it, "FILE:LINE verb detail\n" */
};

/* True when a rule could hide a component of this name that is in no list: hide or only with a
 * matching glob, or any rule that calls a function (filter, where). */
bool ln_present_may_hide(const struct ln_policy *p, enum ln_kind kind, struct ln_str name);
/* True when a rule could give this name to a component of another name: rename or transform to it,
 * or any of these by a function. */
bool ln_present_may_rename(const struct ln_policy *p, enum ln_kind kind, struct ln_str name);
/* True when a `hide` with a matching glob could hide it: whatever else the rules say. */
bool ln_present_hides(const struct ln_policy *p, enum ln_kind kind, struct ln_str name);
/* True when rules hide all that the glob matches, as far as globs can tell. */
bool ln_present_hides_all(const struct ln_policy *p, enum ln_kind kind, struct ln_str glob);
enum {
  LN_PRESENT_EXPLAIN = 1,  /* sets `why` of the items */
  LN_PRESENT_COMPLETE = 2, /* no server's list is missing: logs rules that chose no item, once (not
                              with EXPLAIN) */
  LN_PRESENT_TRIAL = 4     /* for no client: only as far as the first rule that takes ctx */
};
/* Which headers of their request the rules of a list read: what they made of it holds for all
 * requests where these are the same. */
struct ln_reads {
  bool all;               /* names is NULL */
  struct ln_bytes *names; /* each with a NUL behind it, as they were asked for; one reference, or
                             NULL: none */
};
void ln_reads_deinit(struct ln_reads *r);
/* Applies the rules of a kind to items, in their order. x: whose ctx rules get (NULL: of no
 * client). reads: set to what the rules read, the caller's. A rule that fails (an error in a
 * filter, an impossible transform) hides the item and logs file:line. how: of the above. LN_ESCRIPT
 * only when Lunette's own Lua code failed. */
int ln_present(struct ln_policy *p, enum ln_kind kind, struct ln_present_item *items, size_t n,
               struct ln_exchange *x, unsigned how, struct ln_reads *reads) LN_CHECK;
/* Rules and handlers that have chosen nothing so far, as logged: "FILE:LINE\ttext" lines. One
 * reference, the caller's; NULL: out of memory. */
struct ln_bytes *ln_present_unmatched(struct ln_policy *p);
void ln_present_item_deinit(struct ln_present_item *item); /* the out members */

#endif
