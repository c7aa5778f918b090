/* OpenSSL's side of tls.c: contexts with their trust stores, made once per loop and CA file
 * (reading the system's takes milliseconds), connections made from them, and their errors in words.
 */
#ifndef LN_NET_TLS_CTX_H
#define LN_NET_TLS_CTX_H

#include <openssl/ssl.h>

#include "net/loop_impl.h"
#include "net/stream.h"

/* A client connection to host with memory BIOs, ready for its handshake. LN_ENOMEM or LN_ESYSTEM
 * with *why, which holds as ln_loop_why says. */
int ln_tls_ssl_new(struct ln_loop *l, const struct ln_tls_conf *conf, const char *host, SSL **out,
                   const char **why) LN_CHECK;
/* Why the handshake with host failed, from the connection and OpenSSL's error queue. */
const char *ln_tls_why(struct ln_loop *l, SSL *ssl, const char *host);

#endif
