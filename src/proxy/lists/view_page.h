/* A view as the replies to list requests (server/utilities/pagination). */
#ifndef LN_PROXY_LISTS_VIEW_PAGE_H
#define LN_PROXY_LISTS_VIEW_PAGE_H

#include "proxy/lists/view.h"

/* The reply to a list request with this raw cursor (absent: the first page); *first: the number of
 * items before the page. One reference, the caller's; an ERROR message for a bad cursor. NULL: out
 * of memory. */
struct ln_msg *ln_view_page(struct ln_view *v, struct ln_str cursor, size_t *first);
/* The result of the page-th page, for comparing; absent past the last one. */
struct ln_str ln_view_page_text(struct ln_view *v, size_t page);

#endif
