/* A host's beginning and its end. */
#ifndef LN_PROXY_SERVE_HOST_LIFE_H
#define LN_PROXY_SERVE_HOST_LIFE_H

#include "proxy/core/host.h"

/* Takes the policy's reference and sets up its servers; connects to none. LN_ENOMEM, or LN_EINVALID
 * with *why (a URL that is none). */
int ln_host_life_start(struct ln_host *h, struct ln_policy *policy, const char **why) LN_CHECK;
/* Ends all sessions and servers; closed is called from the loop when all have gone. */
void ln_host_life_close(struct ln_host *h, void (*closed)(void *arg), void *arg);

#endif
