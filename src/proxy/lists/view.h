/* What a client sees of one kind (tools, resources, templates or prompts): all servers' lists and
 * the policy's own components, after the rules, under the names that they are presented by. The
 * kinds differ only by their rows in mcp/method.c.
 *
 * Immutable; shared by all sessions with the same lists under the same policy, unless a rule takes
 * ctx. Then it is one session's alone, and where the rules read headers it holds for those requests
 * of it that have the same: the session has a view for each of the last few that differed. */
#ifndef LN_PROXY_LISTS_VIEW_H
#define LN_PROXY_LISTS_VIEW_H

#include "base/account.h"
#include "base/map.h"
#include "mcp/template_set.h"
#include "proxy/client/session.h"
#include "proxy/lists/listing.h"
#include "proxy/server/generation.h"

/* Limit on the steps (mcp/template.h) of looking URIs up among templates, for one message. */
enum { LN_MATCH_STEPS = 4 << 20 };

struct ln_entry {
  struct ln_server *server; /* NULL: the policy's own */
  size_t component;         /* when server is NULL */
  const struct ln_listing_item *item;
  struct ln_bytes *key;          /* its name or URI as presented, unescaped */
  struct ln_bytes *before_rules; /* the same before any rule */
  struct ln_bytes
      *native_json; /* the server's own name as a JSON string; NULL when it is presented by it */
  struct ln_bytes *json;          /* the definition as presented; NULL: the server's own */
  struct ln_bytes *normal;        /* resources: the URI's normal form where it differs from key */
  struct ln_bytes *before_normal; /* resources that a rule hid or renamed: the normal … */
  struct ln_bytes *before_loose;  /* … and loose form of before_rules where they differ from it */
  size_t uri_prefix;              /* bytes put before a URI that another server lists too */
  bool hidden;
  const struct ln_entry *shadowed_by; /* an earlier one of the same name: this one is not listed */
  const char *withheld; /* the prefix of another server, under which its name before the rules is:
                           it is not listed, and no rule sees it. Borrowed of gen */
  struct ln_entry *next_native; /* another server's of the same URI, in by_native */
  struct ln_old_name *old;
  size_t n_old;
  struct ln_bytes *why;           /* explain only */
  struct ln_transform *transform; /* what its calls go through, or NULL */
};

struct ln_view {
  struct ln_list
      link; /* in host->views when shared; in session->variants when that shows another */
  struct ln_list by_age; /* then also in host->variants */
  uint32_t refs;
  struct ln_host *host;
  enum ln_kind kind;
  bool has_ui;    /* some tool names a resource that displays it (_meta.ui) */
  bool renames;   /* some entry of a server is presented by another key */
  bool unmatched; /* templates that rules may hide are in no set of match: too many, or too long */
  bool per_request;      /* the rules read headers: … */
  struct ln_reads reads; /* … these, … */
  struct ln_bytes *key; /* … of which the request that it was made for had these (client/headers.h),
                           counted; NULL: none */
  bool unkept;          /* the key is too long to be kept: it holds for no other request */
  struct ln_generation *gen;    /* counted: whose rules */
  struct ln_listing **listings; /* one per server, counted; NULL where the server has none */
  size_t n_listings;
  struct ln_entry *entries; /* in the order listed, hidden ones among them */
  size_t n_entries;
  struct ln_bytes *failed; /* the error of the first rule that failed, or NULL */
  struct ln_map by_key;    /* visible entries by key, resources by normal form too */
  struct ln_map hidden; /* hidden and renamed ones by the key they had before the rules, likewise */
  struct ln_map by_native;       /* resources presented by another key, by the server's own */
  struct {                       /* of templates: entries … */
    struct ln_templates visible; /* … by key */
    struct ln_templates gone;    /* … that a rule hid or gave another form, by the one before */
    struct ln_templates native;  /* … presented by another key, by the server's own */
  } match;
  struct { /* the last server's URI that was looked up in match.native, as one notification may go
              to many sessions */
    uint64_t server;               /* its serial */
    struct ln_bytes *native, *key; /* counted; key is NULL where the URI stays */
  } last;
  struct ln_msg **pages; /* the replies to the list request, made when first asked for */
  size_t n_pages;
  uint64_t names_hash;        /* view_page.c: in cursors of a view that is per_request */
  struct ln_account *account; /* who is charged for it, when it is of one session alone: counted;
                                 NULL: nobody. The pages, too, and … */
  size_t charged;             /* … this much for the rest */
};

struct ln_view *ln_view_ref(struct ln_view *v);
void ln_view_unref(struct ln_view *v); /* NULL is fine */
/* Sets what a session was last shown of a kind: v, whose reference is taken, or NULL when that is
 * out of date, for whatever headers. What it was shown before is kept where only headers differ. */
void ln_view_set(struct ln_session *s, enum ln_kind kind, struct ln_view *v);
/* What the session was shown of a kind for a request with these headers (NULL: none), which becomes
 * what it was last shown; NULL: nothing yet, or it is forgotten. Not counted. */
struct ln_view *ln_view_for(struct ln_session *s, enum ln_kind kind, struct ln_bytes *headers);
/* It was made for a request with these headers (NULL: none). */
void ln_view_set_key(struct ln_view *v, struct ln_bytes *headers);
/* It is one session's alone (base/account.h): one of many sessions with long lists would else hold
 * any amount of memory. a: counted; NULL: nobody is charged. Once. */
void ln_view_charge(struct ln_view *v, struct ln_account *a);
/* True when it is right for a request with these headers. */
bool ln_view_holds(const struct ln_view *v, const struct ln_bytes *headers);
/* Sets NULL for all kinds. */
void ln_view_forget(struct ln_session *s);
/* Frees the pages made of it so far. */
void ln_view_drop_pages(struct ln_view *v);

/* False when a component of this kind can be used without any list: there is one server, no rule or
 * handler that needs definitions, and the policy has no component of its own. */
bool ln_view_needed(const struct ln_generation *g, enum ln_kind kind);
/* The visible entry presented under this key, unescaped, or NULL. A URI matches in any spelling of
 * the same normal form, unless a rule hid or renamed a URI of that spelling. */
const struct ln_entry *ln_view_find(const struct ln_view *v, struct ln_str key);
/* True when a rule hid or renamed a component of this key, or one whose URI a server might take to
 * be the same. */
bool ln_view_is_hidden(const struct ln_view *v, struct ln_str key);
/* True when a rule could hide what no list has, by its name or URI. URIs are tried in every form,
 * as servers differ in how they read them. */
bool ln_view_may_hide(const struct ln_generation *g, enum ln_kind kind, struct ln_str key);
/* An entry's definition before any rule: the server's, or the policy's component's. */
struct ln_str ln_entry_definition(const struct ln_view *v, const struct ln_entry *e);
/* True when it is in the lists that clients get. */
static inline bool ln_entry_listed(const struct ln_entry *e) {
  return !e->hidden && !e->shadowed_by && !e->withheld;
}

/* True when no server's list is missing. */
bool ln_view_complete(const struct ln_view *v);

/* The form of a URI that `form` makes (mcp/uri.h); NULL: the URI itself. One reference.
 */
typedef int (*ln_view_uri_form)(struct ln_str uri, struct ln_buf *out);
struct ln_bytes *ln_view_form(struct ln_str uri, ln_view_uri_form form);
/* Resources are found under all spellings of their URIs; names and templates have one. */
static inline bool ln_view_has_spellings(const struct ln_view *v) {
  return v->kind == LN_KIND_RESOURCE;
}

#endif
