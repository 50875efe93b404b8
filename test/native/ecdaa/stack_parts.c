// What an operation with secrets leaves on the stack of its thread: neither the secret nor the projective point that tells of it.
#include "../check.h"
#include "ecdaa/ecdaa.h"
#include "fp256bn/secret.h"
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

enum { STACK = 1 << 20 };

static const uint8_t SECRET[SCALAR_LENGTH] = {0x64, 0x03, 0x64, 0xa4, 0x69, 0x44, 0xe3, 0x39, 0x2f, 0x1c, 0x8c,
                                              0x40, 0x68, 0x41, 0x03, 0xba, 0xa4, 0x29, 0x2a, 0xfa, 0x11, 0x22,
                                              0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc};
static uint8_t issuer[2 * SCALAR_LENGTH], draws[3 * DRAW_LENGTH], point[G1_LENGTH];
static uint8_t credential[CREDENTIAL_LENGTH + CREDENTIAL_SIGNATURE_LENGTH], signature[LINKED_SIGNATURE_LENGTH];

static void *make_point(void *unused) {
  CHECK(ecdaa_public_point(point, SECRET));
  return unused;
}

static void *issue(void *unused) {
  CHECK(ecdaa_issue(credential, issuer, point, draws));
  return unused;
}

static void *sign(void *unused) {
  CHECK(ecdaa_sign(signature, SECRET, credential, SECRET, 4, (const uint8_t *)"name", 4, draws));
  return unused;
}

// The control: leaves what is looked for.
static void *leave(void *unused) {
  volatile uint8_t copy[SCALAR_LENGTH];
  for (int i = 0; i < SCALAR_LENGTH; i++) copy[i] = SECRET[i];
  (void)copy;
  return unused;
}

// Far enough down that the end of the thread overwrites nothing of it.
static void *deeper(void *run) {
  volatile uint8_t gap[STACK / 8];
  gap[0] = 0;
  void *result = (*(void *(**)(void *))run)(NULL);
  return gap[0] == 0 ? result : NULL;  // after the call, so that it is no tail call
}

static bool holds(const uint8_t *stack, const void *bytes, size_t length) { return memmem(stack, STACK, bytes, length) != NULL; }

static bool leaves_secrets(void *(*run)(void *)) {
  uint8_t *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  CHECK(stack != MAP_FAILED);
  pthread_attr_t attributes;
  pthread_t thread;
  CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstack(&attributes, stack, STACK) == 0);
  CHECK(pthread_create(&thread, &attributes, deeper, &run) == 0 && pthread_join(thread, NULL) == 0);
  // As bytes, as the limbs of a scalar, and each coordinate of secret·G1 before it is normalised.
  scalar sk, half;
  g1_projective product;
  CHECK(scalar_decode(&sk, SECRET) && scalar_decode(&half, issuer));
  secret_multiply_generator(&product, &sk);
  bool found = holds(stack, SECRET, sizeof SECRET) || holds(stack, &sk, sizeof sk) || holds(stack, issuer, SCALAR_LENGTH) ||
               holds(stack, &half, sizeof half) || holds(stack, &product.x, sizeof product.x) ||
               holds(stack, &product.y, sizeof product.y) || holds(stack, &product.z, sizeof product.z);
  munmap(stack, STACK);
  return found;
}

int main(void) {
  for (size_t i = 0; i < sizeof issuer; i++) issuer[i] = (uint8_t)(17 * i + 3);
  for (size_t i = 0; i < sizeof draws; i++) draws[i] = (uint8_t)(31 * i + 7);
  CHECK(leaves_secrets(leave));
  CHECK(!leaves_secrets(make_point));
  CHECK(!leaves_secrets(issue));
  CHECK(!leaves_secrets(sign));
  puts("nothing left");
  return 0;
}
