/* TLS over a stream. */
#include "net/stream_impl.h"

int ln_tls_new(struct ln_stream *s, const struct ln_tls_conf *conf, const char *host,
               const char **why) {
  (void)s, (void)conf, (void)host;
  *why = "TLS is not there yet";
  return LN_ESYSTEM;
}
void ln_tls_free(struct ln_stream *s) {
  (void)s;
}
void ln_tls_handshake(struct ln_stream *s) {
  (void)s;
}
bool ln_tls_wants_read(const struct ln_stream *s) {
  (void)s;
  return false;
}
void ln_tls_feed(struct ln_stream *s, const char *p, size_t n) {
  (void)s, (void)p, (void)n;
}
void ln_tls_eof(struct ln_stream *s) {
  (void)s;
}
void ln_tls_resume(struct ln_stream *s) {
  (void)s;
}
int ln_tls_write(struct ln_stream *s, const struct ln_iov *parts, size_t n) {
  (void)s, (void)parts, (void)n;
  return LN_ECLOSED;
}
size_t ln_tls_queued(const struct ln_stream *s) {
  (void)s;
  return 0;
}
void ln_tls_bye(struct ln_stream *s) {
  (void)s;
}
void ln_tls_free_contexts(struct ln_loop *l) {
  (void)l;
}
