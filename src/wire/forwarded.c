/* Whom a proxy speaks for; see forwarded.h. */
#include "wire/forwarded.h"

#include <arpa/inet.h>

#include "wire/http_host.h"

enum { MAX_HOPS = 32 };

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const unsigned char address[16]) {
  return memcmp(address, mapped, sizeof mapped) == 0;
}

/* An address of either family. */
static bool address_read(struct ln_str s, unsigned char out[16]) {
  char text[INET6_ADDRSTRLEN];
  if (!s.n || s.n >= sizeof text || memchr(s.p, 0, s.n)) return false;
  memcpy(text, s.p, s.n);
  text[s.n] = 0;
  memcpy(out, mapped, sizeof mapped);
  return inet_pton(AF_INET, text, out + sizeof mapped) == 1 || inet_pton(AF_INET6, text, out) == 1;
}

/* The same, or "1.2.3.4:port", "[v6]", "[v6]:port". */
static bool node_read(struct ln_str s, unsigned char out[16]) {
  struct ln_http_host host;
  if (address_read(s, out)) return true;
  if (!ln_http_host_read(s, &host) || !host.is_address) return false;
  memcpy(out, host.address, sizeof host.address);
  return true;
}

bool ln_network_read(struct ln_str text, struct ln_network *out) {
  const char *slash = memchr(text.p, '/', text.n), *end = text.p + text.n;
  struct ln_str address = {text.p, slash ? (size_t)(slash - text.p) : text.n};
  if (!address_read(address, out->address)) return false;
  unsigned most = memchr(address.p, ':', address.n) ? 128 : 32, bits = slash ? 0 : most;
  if (slash && (slash + 1 == end || end - slash > 4)) return false;
  for (const char *p = slash ? slash + 1 : end; p < end; p++) {
    if (*p < '0' || *p > '9') return false;
    bits = bits * 10 + (unsigned)(*p - '0');
  }
  if (bits > most) return false;
  out->bits = bits + 128 - most;
  for (unsigned i = out->bits; i < 128; i++)
    if (out->address[i / 8] & (0x80u >> i % 8)) return false;
  return true;
}

bool ln_network_has(const struct ln_network *n, const unsigned char address[16]) {
  unsigned whole = n->bits / 8, rest = n->bits % 8;
  if (memcmp(n->address, address, whole) != 0) return false;
  return !rest || (n->address[whole] ^ address[whole]) >> (8 - rest) == 0;
}

static bool is_trusted(const char *const *trusted, const unsigned char address[16]) {
  struct ln_network n;
  for (; *trusted; trusted++)
    if (ln_network_read(ln_str_c(*trusted), &n) && ln_network_has(&n, address)) return true;
  return false;
}

/* Whom a proxy heard, in an element of Forwarded: what its first "for" says. */
static struct ln_str node_of(struct ln_str element) {
  while (element.n) {
    const char *semicolon = memchr(element.p, ';', element.n);
    size_t n = semicolon ? (size_t)(semicolon - element.p) : element.n;
    struct ln_str pair = ln_str_trim((struct ln_str){element.p, n});
    if (pair.n > 4 && ln_str_iis((struct ln_str){pair.p, 4}, "for=")) {
      struct ln_str node = {pair.p + 4, pair.n - 4};
      if (node.n >= 2 && node.p[0] == '"' && node.p[node.n - 1] == '"')
        node = (struct ln_str){node.p + 1, node.n - 2};
      return node;
    }
    element.p += LN_MIN(n + 1, element.n);
    element.n -= LN_MIN(n + 1, element.n);
  }
  return LN_STR_NONE;
}

struct hops {
  const char *const *trusted;
  unsigned char *address;
  bool forwarded; /* the header is Forwarded */
  unsigned n;
};

/* Goes to the left through a header's value for as long as who said it is trusted. */
static bool go_left(struct hops *h, struct ln_str value) {
  for (;;) {
    size_t from = value.n;
    while (from && value.p[from - 1] != ',') from--;
    struct ln_str element = ln_str_trim((struct ln_str){value.p + from, value.n - from});
    struct ln_str node = h->forwarded ? node_of(element) : element;
    unsigned char said[16];
    if (h->n++ == MAX_HOPS || !is_trusted(h->trusted, h->address) || !node_read(node, said))
      return false;
    memcpy(h->address, said, sizeof said);
    if (!from) return true;
    value.n = from - 1;
  }
}

void ln_forwarded_peer(const struct ln_http_head *head, const char *const *trusted,
                       unsigned char address[16]) {
  unsigned count;
  if (!trusted || !is_trusted(trusted, address)) return;
  /* One of the two: a proxy that writes one may hand on the other as its client wrote it. */
  const char *name = "x-forwarded-for";
  ln_http_header(head, name, &count);
  struct hops h = {trusted, address, !count, 0};
  if (!count) name = "forwarded";
  for (unsigned i = head->n_headers; i-- > 0;)
    if (ln_str_iis(head->headers[i].name, name) && !go_left(&h, head->headers[i].value)) return;
}

struct ln_str ln_peer_name(const unsigned char address[16], char out[LN_PEER_NAME]) {
  unsigned char network[16];
  memcpy(network, address, sizeof network);
  if (is_v4(address)) {
    inet_ntop(AF_INET, address + sizeof mapped, out, LN_PEER_NAME);
  } else {
    static const unsigned char one[16] = {[15] = 1};
    bool loopback = memcmp(address, one, sizeof one) == 0;
    if (!loopback) memset(network + 8, 0, 8);
    inet_ntop(AF_INET6, network, out, LN_PEER_NAME);
    if (!loopback) memcpy(out + strlen(out), "/64", 4);
  }
  return ln_str_c(out);
}
