// The same flow inside TLS 1.3 and nothing else: what OpenSSL's bulk encryption costs without a tunnel.
#include "common.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/resource.h>

enum { CHUNK = 65536, READ_AHEAD = 131072 };
static char buffer[CHUNK];

static void refuse(const char *what) {
  fprintf(stderr, "%s: ", what);
  ERR_print_errors_fp(stderr);
  exit(1);
}

static double cpu(void) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static SSL *secure(SSL_CTX *context, int fd, int server) {
  SSL *ssl = SSL_new(context);
  if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) refuse("TLS");
  if ((server ? SSL_accept(ssl) : SSL_connect(ssl)) != 1) refuse("TLS handshake");
  return ssl;
}

static int receive(char **arg) {
  struct transfer t = {.skip = atof(arg[3]), .length = atof(arg[4])};
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_file(context, arg[1], SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, arg[2], SSL_FILETYPE_PEM) != 1)
    refuse("certificate");
  SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD);
  SSL_CTX_set_read_ahead(context, 1);
  SSL *ssl = secure(context, accept_one(arg[0]), 1);
  double before = cpu();
  for (;;) {
    int n = SSL_read(ssl, buffer, CHUNK);
    if (n <= 0 || !count(&t, n)) break;
  }
  print_transfer(&t, cpu() - before);
  return 0;
}

static int transmit(char **arg) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (SSL_CTX_set_ciphersuites(context, arg[3]) != 1) refuse(arg[3]);
  SSL *ssl = secure(context, connect_to(SOCK_STREAM, arg[0], arg[1], arg[4]), 0);
  double before = cpu(), start = now(), bytes = 0;
  while (now() < start + atof(arg[2])) {
    int n = SSL_write(ssl, buffer, CHUNK);
    if (n <= 0) break;
    bytes += n;
  }
  printf("{\"bytes\":%.0f,\"cpu\":%.4f}\n", bytes, cpu() - before);
  return 0;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 7 && strcmp(argv[1], "receive") == 0) return receive(argv + 2);
  if (argc == 7 && strcmp(argv[1], "send") == 0) return transmit(argv + 2);
  usage("tlsbulk receive PORT CERTIFICATE KEY SKIP_SECONDS SECONDS | tlsbulk send ADDRESS PORT SECONDS CIPHER CONGESTION");
}
