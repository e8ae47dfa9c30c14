/* ephpm_socache.c - httpd's own small caches in a store.
 *
 * httpd's modules keep TLS sessions, passwords that were checked and pages in
 * caches that a provider offers; here is the one called `ephpm`:
 *
 *      SSLSessionCache   ephpm:tls         AuthnCacheSOCache ephpm:logins
 *      CacheSocache      ephpm:pages       (without a name: default)
 *
 * Each user of the provider has an instance, each object of it one key:
 *
 *      "socache:" user ":" id              user: mod_ssl-session, ...
 *
 * What belongs to httpd should be in a store that no host's scripts use, for
 * a script may read and change every key of its store.
 *
 * Any process may call at any time: no mutex of httpd's is asked for.  Threads
 * of one process take turns at its handle (ephpm_store_lock()); nothing of
 * httpd's is called while one has it.
 */

#include "mod_ephpm.h"

#include <ap_provider.h>
#include <ap_socache.h>
#include <mod_status.h>

#include <string.h>

APLOG_USE_MODULE(ephpm);

struct ap_socache_instance_t {
    const char *store_name;
    int store;                  /* its index; set by init */
    const char *prefix;
    apr_size_t prefix_len;
};

typedef struct cache_key {
    unsigned char *bytes;
    size_t len;
} cache_key_t;

static const char *cache_create(ap_socache_instance_t **instance,
                                const char *argument, apr_pool_t *ptemp,
                                apr_pool_t *pool)
{
    (void)ptemp;
    *instance = apr_pcalloc(pool, sizeof(**instance));
    (*instance)->store_name = argument && *argument
        ? apr_pstrdup(pool, argument) : "default";
    (*instance)->store = -1;
    return NULL;
}

static void warn_of_scripts(const ap_socache_instance_t *cache,
                            const char *user, server_rec *server)
{
    const char *host = ephpm_store_user(cache->store);

    if (host != NULL
        && ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server,
            "%s keeps its cache in the store '%s', which scripts of %s can "
            "read and change: give it a store that no EphpmKv names",
            user, cache->store_name, host);
    }
}

static apr_status_t cache_init(ap_socache_instance_t *cache, const char *user,
                               const struct ap_socache_hints *hints,
                               server_rec *server, apr_pool_t *pool)
{
    (void)hints;
    cache->prefix = apr_pstrcat(pool, "socache:", user, ":", NULL);
    cache->prefix_len = strlen(cache->prefix);
    cache->store = ephpm_store_index(cache->store_name);
    if (cache->store < 0) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, server,
            "%s wants its cache in the store '%s', which no EphpmStore makes: "
            "add 'EphpmStore %s 16M', or correct the name",
            user, cache->store_name, cache->store_name);
        return APR_EINVAL;
    }
    warn_of_scripts(cache, user, server);
    return APR_SUCCESS;
}

static void cache_destroy(ap_socache_instance_t *cache, server_rec *server)
{
    /* The store stays, as does what is in it: this is a restart. */
    (void)cache;
    (void)server;
}

static apr_status_t status_of(kv_result_t result)
{
    switch (result) {
    case KV_OK:
        return APR_SUCCESS;
    case KV_MISSING:
        return APR_NOTFOUND;
    case KV_NO_ROOM:
    case KV_TOO_LARGE:
        return APR_ENOSPC;
    case KV_BUSY:
        return APR_EAGAIN;
    case KV_NO_MEMORY:
        return APR_ENOMEM;
    default:
        return APR_EINVAL;
    }
}

static cache_key_t key_of(const ap_socache_instance_t *cache,
                          const unsigned char *id, unsigned int id_len,
                          apr_pool_t *pool)
{
    cache_key_t key = { .len = cache->prefix_len + id_len };

    key.bytes = apr_palloc(pool, key.len);
    memcpy(key.bytes, cache->prefix, cache->prefix_len);
    memcpy(key.bytes + cache->prefix_len, id, id_len);
    return key;
}

static apr_status_t cache_store(ap_socache_instance_t *cache,
                                server_rec *server, const unsigned char *id,
                                unsigned int id_len, apr_time_t expiry,
                                unsigned char *data, unsigned int data_len,
                                apr_pool_t *pool)
{
    cache_key_t key = key_of(cache, id, id_len, pool);
    apr_time_t ttl_ms = apr_time_as_msec(expiry - apr_time_now());
    kv_store_t *store = ephpm_store_lock(cache->store);
    kv_result_t result;

    (void)server;
    if (store == NULL) {
        return APR_EINIT;
    }
    if (ttl_ms > 0) {
        result = kv_value_set(store, key.bytes, key.len, data, data_len,
                              ttl_ms, KV_SET_ALWAYS);
    } else {
        result = kv_key_delete(store, key.bytes, key.len);
        result = result == KV_MISSING ? KV_OK : result;
    }
    ephpm_store_unlock(cache->store);
    return status_of(result);
}

/* @return as kv_read_copy(), or KV_TOO_LARGE: it does not fit */
static kv_result_t read_value(kv_store_t *store, const cache_key_t *key,
                              unsigned char *data, unsigned int *data_len)
{
    kv_result_t result;
    kv_read_t read;

    do {
        result = kv_read_begin(store, key->bytes, key->len, &read);
        if (result == KV_OK) {
            result = read.value_bytes > *data_len
                ? KV_TOO_LARGE : kv_read_copy(store, &read, data);
        }
    } while (result == KV_RETRY);
    if (result == KV_OK) {
        *data_len = (unsigned int)read.value_bytes;
    }
    return result;
}

static apr_status_t cache_retrieve(ap_socache_instance_t *cache,
                                   server_rec *server,
                                   const unsigned char *id,
                                   unsigned int id_len, unsigned char *data,
                                   unsigned int *data_len, apr_pool_t *pool)
{
    cache_key_t key = key_of(cache, id, id_len, pool);
    kv_store_t *store = ephpm_store_lock(cache->store);
    kv_result_t result;

    (void)server;
    if (store == NULL) {
        return APR_EINIT;
    }
    result = read_value(store, &key, data, data_len);
    ephpm_store_unlock(cache->store);
    return status_of(result);
}

static apr_status_t cache_remove(ap_socache_instance_t *cache,
                                 server_rec *server, const unsigned char *id,
                                 unsigned int id_len, apr_pool_t *pool)
{
    cache_key_t key = key_of(cache, id, id_len, pool);
    kv_store_t *store = ephpm_store_lock(cache->store);
    kv_result_t result;

    (void)server;
    if (store == NULL) {
        return APR_EINIT;
    }
    result = kv_key_delete(store, key.bytes, key.len);
    ephpm_store_unlock(cache->store);
    return status_of(result);
}

/* ------------------------------------------------------------------ */
/* All objects                                                         */

typedef struct object {
    unsigned char *key;
    size_t key_len;
    unsigned char *data;
    size_t data_len;
} object_t;

/* @return KV_OK, KV_MISSING (it went between two looks), or an error */
static kv_result_t read_object(kv_store_t *store, object_t *object,
                               apr_pool_t *pool)
{
    kv_result_t result;
    kv_read_t read;

    do {
        result = kv_read_begin(store, object->key, object->key_len, &read);
        if (result != KV_OK) {
            return KV_MISSING;
        }
        object->data = apr_palloc(pool, read.value_bytes + 1);
        result = kv_read_copy(store, &read, object->data);
    } while (result == KV_RETRY);
    object->data[read.value_bytes] = '\0';
    object->data_len = read.value_bytes;
    return result;
}

/* @return KV_OK, KV_MISSING (the step is over), or an error */
static kv_result_t next_object(kv_store_t *store, kv_scan_t *scan,
                               object_t *object, apr_pool_t *pool)
{
    kv_result_t result = KV_MISSING;

    while (result == KV_MISSING
           && kv_scan_key(store, scan, &object->key_len) == KV_OK) {
        apr_pool_clear(pool);
        object->key = apr_palloc(pool, object->key_len + 1);
        if (kv_scan_copy(store, scan, object->key) == KV_OK) {
            object->key[object->key_len] = '\0';
            result = read_object(store, object, pool);
        }
    }
    return result;
}

static apr_status_t cache_iterate(ap_socache_instance_t *cache,
                                  server_rec *server, void *context,
                                  ap_socache_iterator_t *iterator,
                                  apr_pool_t *pool)
{
    const size_t prefix_len = cache->prefix_len;
    apr_status_t status = APR_SUCCESS;
    kv_scan_t scan = { .cursor = 0 };
    bool in_step = false;
    apr_pool_t *each;

    apr_pool_create(&each, pool);
    do {
        kv_store_t *store = ephpm_store_lock(cache->store);
        kv_result_t result;
        object_t object;

        if (store == NULL) {
            status = APR_EINIT;
            break;
        }
        if (!in_step) {
            kv_scan_begin(store, &scan, scan.cursor, cache->prefix,
                          prefix_len, 1000);
        }
        result = next_object(store, &scan, &object, each);
        ephpm_store_unlock(cache->store);
        in_step = result == KV_OK;
        if (in_step) {
            status = iterator(cache, server, context, object.key + prefix_len,
                              (unsigned int)(object.key_len - prefix_len),
                              object.data, (unsigned int)object.data_len,
                              each);
        } else if (result != KV_MISSING) {
            status = status_of(result);
        }
    } while (status == APR_SUCCESS && (in_step || scan.cursor != 0));
    apr_pool_destroy(each);
    return status;
}

static void cache_status(ap_socache_instance_t *cache, request_rec *r,
                         int flags)
{
    kv_store_t *store = ephpm_store_handle(cache->store);
    const char *line = flags & AP_STATUS_SHORT ? "%s: %s\n"
                                               : "%s: <b>%s</b><br>\n";
    kv_stats_t stats;

    ap_rprintf(r, line, "CacheType", "ephpm");
    ap_rprintf(r, line, "CacheStore", cache->store_name);
    if (store == NULL) {
        return;
    }
    kv_store_stats(store, &stats);
#define NUMBER(title, member) \
    ap_rprintf(r, line, title, apr_psprintf(r->pool, "%" APR_UINT64_T_FMT, \
                                            (apr_uint64_t)stats.member))
    NUMBER("CacheStoreEntries", entries);
    NUMBER("CacheStoreUsedBytes", used_bytes);
    NUMBER("CacheStoreLimitBytes", limit_bytes);
    NUMBER("CacheStoreHits", hits);
    NUMBER("CacheStoreMisses", misses);
    NUMBER("CacheStoreEvictions", evictions);
    NUMBER("CacheStoreExpirations", expirations);
#undef NUMBER
}

static const ap_socache_provider_t provider = {
    .name = "ephpm",
    .flags = 0,
    .create = cache_create,
    .init = cache_init,
    .destroy = cache_destroy,
    .store = cache_store,
    .retrieve = cache_retrieve,
    .remove = cache_remove,
    .status = cache_status,
    .iterate = cache_iterate,
};

void ephpm_socache_register(apr_pool_t *pconf)
{
    ap_register_provider(pconf, AP_SOCACHE_PROVIDER_GROUP, provider.name,
                         AP_SOCACHE_PROVIDER_VERSION, &provider);
}
