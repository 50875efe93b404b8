// The list of keys that a PEM may name. OpenSSL has one provider for the whole process, so this list is for all of it, too.
#include "provider.h"
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

// What the PEM holds: the key's number and its point, so that a stale PEM cannot name another key.
#define NAME_BYTES (4 + PROVIDER_POINT_BYTES)

struct entry {
  struct entry *next;
  uint32_t id;
  struct tls_key *key;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *registry;
static uint32_t last_id;

static bool write_pem(uint32_t id, const uint8_t *point, char *pem) {
  uint8_t name[NAME_BYTES] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
  memcpy(name + 4, point, PROVIDER_POINT_BYTES);
  BIO *bio = BIO_new(BIO_s_mem());
  if (!bio) return false;
  char *text = NULL;
  long length = PEM_write_bio(bio, PROVIDER_PEM_LABEL, "", name, sizeof name) > 0 ? BIO_get_mem_data(bio, &text) : 0;
  bool fits = length > 0 && length < PROVIDER_PEM_BYTES;
  if (fits) {
    memcpy(pem, text, (size_t)length);
    pem[length] = 0;
  }
  BIO_free(bio);
  return fits;
}

// Under the lock.
static const char *add(struct tls_key *key, uint32_t *id, char *pem) {
  if (!write_pem(last_id + 1, tls_key_point(key), pem)) return "the key's PEM could not be written";
  struct entry *entry = calloc(1, sizeof *entry);
  if (!entry) return "out of memory";
  entry->id = *id = ++last_id;
  entry->key = tls_key_retain(key);
  entry->next = registry;
  registry = entry;
  return NULL;
}

const char *provider_keys_add(struct tls_key *key, uint32_t *id, char *pem) {
  pthread_mutex_lock(&registry_lock);
  const char *wrong = add(key, id, pem);
  pthread_mutex_unlock(&registry_lock);
  return wrong;
}

// Unlinks the first entry that fits; NULL if none does. Under the lock.
static struct entry *unlink_entry(uint32_t id, const struct tss_context *context) {
  for (struct entry **at = &registry; *at; at = &(*at)->next) {
    struct entry *entry = *at;
    if (context ? !tls_key_uses(entry->key, context) : entry->id != id) continue;
    *at = entry->next;
    return entry;
  }
  return NULL;
}

static bool forget_one(uint32_t id, const struct tss_context *context) {
  pthread_mutex_lock(&registry_lock);
  struct entry *entry = unlink_entry(id, context);
  pthread_mutex_unlock(&registry_lock);
  if (!entry) return false;
  tls_key_close(entry->key);
  tls_key_release(entry->key);
  free(entry);
  return true;
}

void provider_forget(uint32_t id) { forget_one(id, NULL); }

void provider_forget_context(struct tss_context *context) {
  while (forget_one(0, context)) continue;
}

struct tls_key *provider_find(const uint8_t *name, size_t length) {
  if (length != NAME_BYTES) return NULL;
  uint32_t id = (uint32_t)name[0] << 24 | (uint32_t)name[1] << 16 | (uint32_t)name[2] << 8 | name[3];
  struct tls_key *found = NULL;
  pthread_mutex_lock(&registry_lock);
  for (struct entry *entry = registry; entry && !found; entry = entry->next)
    if (entry->id == id && memcmp(tls_key_point(entry->key), name + 4, PROVIDER_POINT_BYTES) == 0)
      found = tls_key_retain(entry->key);
  pthread_mutex_unlock(&registry_lock);
  return found;
}
