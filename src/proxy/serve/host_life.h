/* Starting and closing a host. */
#ifndef LN_PROXY_SERVE_HOST_LIFE_H
#define LN_PROXY_SERVE_HOST_LIFE_H

#include "proxy/core/host.h"

/* Takes the policy's reference and makes its servers; connects to none. LN_ENOMEM, or LN_EINVALID
 * with *why (an invalid URL). */
int ln_host_life_start(struct ln_host *h, struct ln_policy *policy, const char **why) LN_CHECK;
/* Ends all sessions and links; closed is called from the loop when everything is freed. */
void ln_host_life_close(struct ln_host *h, void (*closed)(void *arg), void *arg);

#endif
