/* TLS contexts and errors; see tls_ctx.h. */
#include "net/tls_ctx.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { MAX_CONTEXTS = 16, MAX_HOST = 253 };

struct ln_tls_ctx {
  struct ln_tls_ctx *next;
  SSL_CTX *ssl;
  char *ca_file; /* NULL: the system's */
  struct timespec changed;
};

static void ctx_free(struct ln_tls_ctx *c) {
  SSL_CTX_free(c->ssl); /* counted: connections keep theirs */
  free(c->ca_file);
  free(c);
}

void ln_tls_free_contexts(struct ln_loop *l) {
  struct ln_tls_ctx *c;
  while ((c = l->tls_ctx)) {
    l->tls_ctx = c->next;
    ctx_free(c);
  }
}

static const char *openssl_reason(void) {
  const char *reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason ? reason : "no reason given";
}

static int ctx_new(struct ln_loop *l, const char *ca_file, struct ln_tls_ctx **out,
                   const char **why) {
  struct ln_tls_ctx *c = calloc(1, sizeof *c);
  if (!c || (ca_file && !(c->ca_file = strdup(ca_file))) ||
      !(c->ssl = SSL_CTX_new(TLS_client_method()))) {
    if (c) ctx_free(c);
    *why = ln_err_text(LN_ENOMEM);
    return LN_ENOMEM;
  }
  SSL_CTX_set_min_proto_version(c->ssl, TLS1_2_VERSION);
  /* Many connections are idle most of the time: their buffers go back meanwhile. */
  SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
  int ok = ca_file ? SSL_CTX_load_verify_locations(c->ssl, ca_file, NULL)
                   : SSL_CTX_set_default_verify_paths(c->ssl);
  if (!ok) {
    *why = ln_loop_why(l, "can't read the certificates in %s: %s",
                       ca_file ? ca_file : "the system's store", openssl_reason());
    ctx_free(c);
    return LN_ESYSTEM;
  }
  *out = c;
  return LN_OK;
}

static bool same_ca(const struct ln_tls_ctx *c, const char *ca_file) {
  return c->ca_file && ca_file ? strcmp(c->ca_file, ca_file) == 0 : !c->ca_file && !ca_file;
}

/* The context for a CA file, made anew when the file has changed. */
static int ctx_get(struct ln_loop *l, const char *ca_file, SSL_CTX **out, const char **why) {
  struct stat st = {0};
  if (ca_file && stat(ca_file, &st)) {
    *why = ln_loop_why(l, "can't read the certificates in %s: %s", ca_file,
                       uv_strerror(uv_translate_sys_error(errno)));
    return LN_ESYSTEM;
  }
  struct ln_tls_ctx **at = &l->tls_ctx, *c;
  int n = 0;
  for (; (c = *at); n++) {
    bool stale = c->changed.tv_sec != st.st_mtim.tv_sec || c->changed.tv_nsec != st.st_mtim.tv_nsec;
    if (same_ca(c, ca_file) && !stale) {
      *out = c->ssl;
      return LN_OK;
    }
    if (same_ca(c, ca_file) || n >= MAX_CONTEXTS) {
      *at = c->next;
      ctx_free(c);
    } else {
      at = &c->next;
    }
  }
  int rc = ctx_new(l, ca_file, &c, why);
  if (rc) return rc;
  c->changed = st.st_mtim;
  c->next = l->tls_ctx;
  l->tls_ctx = c;
  *out = c->ssl;
  return LN_OK;
}

/* What the certificate must be for; and SNI, which is for names only. */
static bool expect_host(SSL *ssl, const char *host) {
  char name[MAX_HOST + 1];
  size_t n = strlen(host);
  if (n && host[n - 1] == '.') n--; /* "example.com." is the same name, but not in certificates */
  if (!n || n > MAX_HOST) return false;
  memcpy(name, host, n);
  name[n] = 0;
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name)) return true;
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, name) && SSL_set_tlsext_host_name(ssl, name);
}

static bool offer_alpn(SSL *ssl, const char *alpn) {
  unsigned char list[256];
  size_t n = alpn ? strlen(alpn) : 0;
  if (!n) return true;
  if (n > sizeof list - 1) return false;
  list[0] = (unsigned char)n;
  memcpy(list + 1, alpn, n);
  return SSL_set_alpn_protos(ssl, list, (unsigned)n + 1) == 0;
}

int ln_tls_ssl_new(struct ln_loop *l, const struct ln_tls_conf *conf, const char *host, SSL **out,
                   const char **why) {
  SSL_CTX *ctx;
  ERR_clear_error();
  int rc = ctx_get(l, conf->ca_file, &ctx, why);
  if (rc) return rc;
  SSL *ssl = SSL_new(ctx);
  BIO *in = BIO_new(BIO_s_mem()), *to = BIO_new(BIO_s_mem());
  if (!ssl || !in || !to) {
    SSL_free(ssl);
    BIO_free(in);
    BIO_free(to);
    *why = ln_err_text(LN_ENOMEM);
    return LN_ENOMEM;
  }
  SSL_set_bio(ssl, in, to);
  SSL_set_connect_state(ssl);
  SSL_set_verify(ssl, conf->no_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
  if (!expect_host(ssl, host) || !offer_alpn(ssl, conf->alpn)) {
    SSL_free(ssl);
    *why = ln_loop_why(l, "%s can't be a host name in TLS", host);
    return LN_ESYSTEM;
  }
  *out = ssl;
  return LN_OK;
}

const char *ln_tls_why(struct ln_loop *l, SSL *ssl, const char *host) {
  long verdict = SSL_get_verify_result(ssl);
  switch (verdict) {
    case X509_V_OK: break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return ln_loop_why(l, "the certificate of %s is for another host", host);
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return ln_loop_why(l, "the certificate of %s has expired", host);
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return ln_loop_why(l, "the certificate of %s is not valid yet", host);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return ln_loop_why(l, "the certificate of %s is by an issuer that is not trusted", host);
    default:
      return ln_loop_why(l, "the certificate of %s is not accepted: %s", host,
                         X509_verify_cert_error_string(verdict));
  }
  int reason = ERR_GET_REASON(ERR_peek_last_error());
  if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST)
    return ln_loop_why(l, "%s doesn't speak TLS on this port", host);
  return ln_loop_why(l, "the TLS handshake with %s failed: %s", host, openssl_reason());
}
