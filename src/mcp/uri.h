/* What a URI stands for, so that a rule and a table see the same thing however a client spells it.
 * Only for comparing: a server always gets the client's own bytes.
 *
 * Two forms, since there are two questions. "Is this the resource that was listed?" wants what
 * surely is the same: the normal form. "Could this be the resource that a rule hides?" wants what
 * some server might take for the same: the loose form. A URI may be used by its normal form; by its
 * loose form it can only be refused. */
#ifndef LN_MCP_URI_H
#define LN_MCP_URI_H

#include "base/buf.h"

/* The most bytes that a form of a URI of n bytes can take. */
#define LN_URI_ROOM(n) (3 * (n) + 48)

/* Appends the normal form of uri: what RFC 3986 §6.2 calls equivalent and what the URL parsers of
 * browsers and of the official SDKs make of it. White space around it and line breaks and tabs
 * inside are gone; the scheme is in lower case; percent escapes of unreserved characters are
 * undone, the others in upper case, and what may not stand in a URI is escaped; "." and ".."
 * segments are carried out. For the schemes of the web and for files also: "\" is "/", the host is
 * in lower case, its default port and an empty user are gone, however many slashes there were;
 * "localhost" is no host for a file. What is no URI comes out as it went in. The normal form of a
 * normal form is itself. LN_ENOMEM, LN_ELIMIT: less room than LN_URI_ROOM. */
int ln_uri_normal(struct ln_str uri, struct ln_buf *out) LN_CHECK;

/* Appends the loose form: as the normal form, then all escapes undone, "\" taken for "/", slashes
 * merged, what follows a ';' in a segment gone (its parameters) and what follows a NUL, and only
 * then dot segments carried out, also in paths that have no root; the host in
 * lower case, on the web without user and dot at its end, for files gone; without fragment, empty
 * query or slash at the end, for files without any query. No URI any more, but text that a glob may
 * be held against. */
int ln_uri_loose(struct ln_str uri, struct ln_buf *out) LN_CHECK;

enum { LN_URI_FORMS = 5 };
/* The forms that are held against rules, one after the other from i = 0 on: the normal and the
 * loose one, and of what has no scheme the loose ones of it as a file and on the web, as servers
 * read it that prepend a scheme or decode it first. LN_ENOTFOUND: there are no more. */
int ln_uri_form(struct ln_str uri, unsigned i, struct ln_buf *out) LN_CHECK;

/* True when uri has a "." or ".." segment, in any spelling that the normal form knows. */
bool ln_uri_climbs(struct ln_str uri);

#endif
