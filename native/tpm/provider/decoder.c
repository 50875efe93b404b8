// Reads "-----BEGIN ENF TPM KEY-----". OpenSSL offers every PEM to every decoder; for another
// PEM this one returns "nothing found", so that the next decoder gets it.
#include "provider.h"
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <string.h>

#define LONGEST_PEM 1024

static OSSL_FUNC_BIO_read_ex_fn *read_input;

void provider_decoder_use(OSSL_FUNC_BIO_read_ex_fn *read) { read_input = read; }

static size_t read_all(OSSL_CORE_BIO *input, char *text, size_t capacity) {
  size_t length = 0, got = 0;
  while (length < capacity && read_input(input, text + length, capacity - length, &got) && got > 0) length += got;
  return length;
}

static struct tls_key *read_key(const char *text, size_t length) {
  BIO *bio = BIO_new_mem_buf(text, (int)length);
  char *label = NULL, *header = NULL;
  unsigned char *content = NULL;
  long size = 0;
  struct tls_key *key = NULL;
  if (!bio) return NULL;
  // A PEM of another kind is not an error.
  ERR_set_mark();
  int read = PEM_read_bio(bio, &label, &header, &content, &size);
  ERR_pop_to_mark();
  if (read && size > 0 && strcmp(label, PROVIDER_PEM_LABEL) == 0) key = provider_find(content, (size_t)size);
  OPENSSL_free(label);
  OPENSSL_free(header);
  OPENSSL_free(content);
  BIO_free(bio);
  return key;
}

// keymgmt's load() takes the object and clears the reference; if it did not, the object has to be freed here.
static int hand_over(struct provider_key *object, OSSL_CALLBACK *found, void *argument) {
  int type = OSSL_OBJECT_PKEY;
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type),
      OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, "EC", 0),
      OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &object, sizeof object),
      OSSL_PARAM_construct_end(),
  };
  int ok = found(parameters, argument);
  if (object) {
    tls_key_release(object->tls);
    OPENSSL_free(object);
  }
  return ok;
}

static int decode(void *context, OSSL_CORE_BIO *input, int selection, OSSL_CALLBACK *found, void *argument,
                  OSSL_PASSPHRASE_CALLBACK *passphrase, void *passphrase_argument) {
  (void)context;
  (void)selection;
  (void)passphrase;
  (void)passphrase_argument;
  char text[LONGEST_PEM];
  struct tls_key *key = read_key(text, read_all(input, text, sizeof text));
  if (!key) return 1;
  struct provider_key *object = provider_key_of(key);
  tls_key_release(key);
  return object ? hand_over(object, found, argument) : 0;
}

static void *new_context(void *provider) { return provider; }

static void free_context(void *context) { (void)context; }

static int does_selection(void *provider, int selection) {
  (void)provider;
  return selection == 0 || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0;
}

static const OSSL_DISPATCH functions[] = {
    {OSSL_FUNC_DECODER_NEWCTX, (void (*)(void))new_context},
    {OSSL_FUNC_DECODER_FREECTX, (void (*)(void))free_context},
    {OSSL_FUNC_DECODER_DOES_SELECTION, (void (*)(void))does_selection},
    {OSSL_FUNC_DECODER_DECODE, (void (*)(void))decode},
    {0, NULL},
};

const OSSL_ALGORITHM provider_decoder[] = {{"EC", "provider=" PROVIDER_NAME ",input=pem", functions, NULL},
                                           {NULL, NULL, NULL, NULL}};
