/* One normal form of URIs (RFC 3986 §6.2), so that a rule and a table see the same thing however a
 * client spells it. Only for comparing: a server always gets the client's own bytes. */
#ifndef LN_MCP_URI_H
#define LN_MCP_URI_H

#include "base/buf.h"

/* Appends the normal form of uri: scheme in lower case; for the schemes of the web and of files
 * the host in lower case, without its default port, "localhost" off file URIs; percent escapes
 * of unreserved characters undone, the others in upper case; dot segments and doubled slashes of
 * hierarchical paths removed. What is no URI comes out as it went in. LN_ENOMEM, LN_ELIMIT. */
int ln_uri_normal(struct ln_str uri, struct ln_buf *out) LN_CHECK;

#endif
