/* URI templates (RFC 6570) read backwards: could this URI have come from that template, and what
 * did its expressions stand for?
 *
 * What matching takes is counted in steps, each of which moves 64 places of the URI over one byte
 * or expression of the template: a nanosecond or so. `steps` is what may still be taken, NULL: as
 * many as it takes. At 0 the answer is that nothing matches, and means nothing. */
#ifndef LN_MCP_TEMPLATE_H
#define LN_MCP_TEMPLATE_H

#include "base/buf.h"

/* What is longer matches nothing, so that no list and no request costs more than it should: callers
 * refuse such URIs. There is room for every form of a URI of 16 KiB. */
enum { LN_TEMPLATE_MAX = 4096, LN_TEMPLATE_URI_MAX = 3 * 16384 + 16 };

/* True when uri matches: as generous as any server's own matching. {name} stands for one or more
 * characters other than '/'; {+x} and what has a '*' for any run, the empty one too; {#x}, {.x},
 * {/x}, {;x},
 * {?x} and {&x} for nothing, or for their sign ('#', '.', '/', …) and any run after it. A malformed
 * template matches nothing. One pass over the template. */
bool ln_template_match(struct ln_str uri_template, struct ln_str uri, uint64_t *steps);

/* More expressions than this can be matched, but not taken apart. */
enum { LN_TEMPLATE_PARTS = 64 };
struct ln_template_parts {
  size_t n;
  struct {
    struct ln_str expr; /* in the template, without its braces */
    struct ln_str text; /* in the URI: what it stands for, its sign with it; may be empty */
  } part[LN_TEMPLATE_PARTS];
};
/* Takes a URI that matches apart. Where there are several ways a query and a fragment go to the
 * expressions for them, an extension is what follows the last dot, {x:n} takes n characters, and
 * else the first expression takes the most. False: no match, too many expressions, out of memory
 * or steps. */
bool ln_template_split(struct ln_str uri_template, struct ln_str uri,
                       struct ln_template_parts *parts, uint64_t *steps);
/* Appends the URI that template `to` makes of what `from` made uri of. LN_ENOTFOUND: uri is none of
 * from's, or `to` has an expression that from lacks. LN_ENOMEM, LN_ELIMIT. */
int ln_template_convert(struct ln_str from, struct ln_str to, struct ln_str uri, struct ln_buf *out,
                        uint64_t *steps);

/* How many expressions a template has, well-formed or not. */
size_t ln_template_expressions(struct ln_str uri_template);

/* What comes before its first expression. */
struct ln_str ln_template_literal(struct ln_str uri_template);

struct ln_places;
/* As ln_template_match, for many templates and one URI (mcp/places.h), which begins as t does. */
bool ln_template_match_in(struct ln_str uri_template, const struct ln_places *uri, uint64_t *steps);

#endif
