/* What counts as use; see use.h. */
#include "proxy/server/use.h"

#include "mcp/method.h"

bool ln_use_is(const struct ln_msg *msg) {
  switch (ln_method_find(msg->method, LN_FROM_CLIENT)->route) {
    case LN_ROUTE_INITIALIZE:
    case LN_ROUTE_PING:
    case LN_ROUTE_LIST:
    case LN_ROUTE_COMPLETE:
    case LN_ROUTE_CANCELLED: return false;
    case LN_ROUTE_INITIALIZED:
      return msg->params.p; /* it says more than that the client is there */
    default: return true;
  }
}
