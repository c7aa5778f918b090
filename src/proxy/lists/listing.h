/* One list of one server: all its pages. Immutable once made; counted. */
#ifndef LN_PROXY_LISTS_LISTING_H
#define LN_PROXY_LISTS_LISTING_H

#include "base/list.h"
#include "mcp/kind.h"
#include "rpc/message.h"

struct ln_server;

struct ln_listing_item {
  struct ln_str json;      /* the definition, raw */
  struct ln_bytes *key;    /* name, URI or URI template, unescaped */
  struct ln_str key_value; /* its raw value inside json, quotes and all */
};

struct ln_listing {
  struct ln_list link; /* in server->listings once it was interned */
  uint64_t hash;       /* of its definitions, likewise */
  uint32_t refs;
  enum ln_kind kind;
  struct ln_server *server; /* not counted: what keeps the listing counts the server */
  struct ln_msg **pages;    /* the replies, in order */
  size_t n_pages;
  struct ln_listing_item *items;
  size_t n_items;
};

/* An empty list. One reference, the caller's. NULL: out of memory. */
struct ln_listing *ln_listing_new(struct ln_server *server, enum ln_kind kind);
/* Adds one page's items; page is counted. LN_EPROTOCOL when its result has no such list, LN_ELIMIT
 * when there are too many, LN_ENOMEM. */
int ln_listing_add(struct ln_listing *list, struct ln_msg *page) LN_CHECK;
/* The one with the same definitions in the same order, byte for byte, that somebody has of this
 * server already, or else this one: so a list is in memory once however many sessions were given
 * it, each by its own session with the server, and two are the same when their pointers are. Takes
 * and gives a reference. */
struct ln_listing *ln_listing_intern(struct ln_listing *list);
struct ln_listing *ln_listing_ref(struct ln_listing *list);
void ln_listing_unref(struct ln_listing *list); /* NULL is fine */

#endif
