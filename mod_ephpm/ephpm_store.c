/* ephpm_store.c - stores: their directive, their memory, their handles.
 *
 * The memory outlives the module's code.  It is allocated from subpools of
 * the process pool, and found again through httpd's retained data:
 *
 *   retained --> kept_store_t --> kept_store_t --> ...
 *                 |  name, size, options, layout: what it was made with
 *                 +- memory, shared with every child of every generation
 *                 +- history of the status page, shared as well
 *
 * Only libapr's clean-ups may be registered there, for ours would be called
 * after the module was unloaded.
 *
 * A script can write every byte that its process has mapped.  So the parent,
 * which may be root, creates a store and from then on neither locks nor
 * follows anything in it: what it wants to know later is in kept_store_t, in
 * memory that children have a copy of.
 *
 * When a store is dropped or made anew the children of the generation before
 * still work with the old memory, by a mapping of their own.
 */

#include "mod_ephpm.h"

#include <ap_mpm.h>
#include <apr_shm.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

APLOG_USE_MODULE(ephpm);

/* Changes with the structures below. */
#define RETAINED_KEY "mod_ephpm stores 2"

typedef struct kept_store {
    struct kept_store *next;
    apr_pool_t *pool;           /* of this structure and its memory */
    const char *name;
    const char *options;
    apr_size_t size_bytes;
    apr_uint64_t layout;
    void *memory;
    apr_uint64_t history_layout;
    void *history;
    int wanted;                 /* by the configuration of this pass */
} kept_store_t;

typedef struct kept {
    kept_store_t *first;
} kept_t;

/* ------------------------------------------------------------------ */
/* EphpmStore                                                          */

static ephpm_store_t *store_at(int index)
{
    return &APR_ARRAY_IDX(ephpm_settings.stores, index, ephpm_store_t);
}

int ephpm_store_index(const char *name)
{
    for (int i = 0; i < ephpm_settings.stores->nelts; i++) {
        if (strcmp(store_at(i)->name, name) == 0) {
            return i;
        }
    }
    return -1;
}

const char *ephpm_store_user(int index)
{
    return store_at(index)->user;
}

void ephpm_store_set_user(int index, const char *host)
{
    store_at(index)->user = host;
}

static bool good_name(const char *name)
{
    size_t length = strlen(name);

    return length >= 1 && length <= 64
           && strspn(name, "abcdefghijklmnopqrstuvwxyz"
                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                           "0123456789_.-") == length;
}

const char *ephpm_store_directive(cmd_parms *cmd, void *unused, int argc,
                                  char *const argv[])
{
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    ephpm_store_t store;
    char error[256];
    int known;

    (void)unused;
    if (wrong != NULL) {
        return wrong;
    }
    if (argc < 2) {
        return "EphpmStore takes a name and a size: EphpmStore default 256M";
    }
    memset(&store, 0, sizeof(store));
    store.name = argv[0];
    store.where = apr_psprintf(cmd->pool, "%s:%d", cmd->directive->filename,
                               cmd->directive->line_num);
    if (!good_name(store.name) || strcasecmp(store.name, "Off") == 0) {
        return apr_psprintf(cmd->pool,
            "EphpmStore: '%s' cannot be a store's name: take 1 to 64 letters, "
            "digits and _ . - (and not Off)", store.name);
    }
    known = ephpm_store_index(store.name);
    if (known >= 0) {
        return apr_psprintf(cmd->pool,
            "EphpmStore: there is a store '%s' already (%s): take another "
            "name, or remove one of the two",
            store.name, store_at(known)->where);
    }
    if (kv_size_parse(argv[1], &store.size_bytes) != KV_OK) {
        return apr_psprintf(cmd->pool,
            "EphpmStore %s: '%s' is not a size: write a number with K, M or "
            "G, as 256M", store.name, argv[1]);
    }
    if (store.size_bytes < KV_STORE_MIN_BYTES) {
        return apr_psprintf(cmd->pool,
            "EphpmStore %s: %s is too small: a store has at least %uM",
            store.name, argv[1], KV_STORE_MIN_BYTES >> 20);
    }
    kv_config_init(&store.config);
    for (int i = 2; i < argc; i++) {
        if (kv_config_set(&store.config, argv[i], error, sizeof(error))
            != KV_OK) {
            return apr_psprintf(cmd->pool, "EphpmStore %s: %s", store.name,
                                error);
        }
    }
    APR_ARRAY_PUSH(ephpm_settings.stores, ephpm_store_t) = store;
    return NULL;
}

/* ------------------------------------------------------------------ */
/* Memory, in the parent                                               */

/* Every option, in one form. */
static const char *options_text(apr_pool_t *pool, const kv_config_t *config)
{
    return apr_psprintf(pool,
        "eviction=%s compression=%s:%d min-compress=%u threads=%u wait=%u "
        "segment=%u shards=%u",
        kv_eviction_name(config->eviction),
        kv_compression_name(config->compression), config->compression_level,
        config->min_compress_bytes, config->threads_max,
        config->wait_limit_ms, config->segment_bytes, config->shards);
}

/* The helpers of EphpmResp, of which some may be leaving.  Always, for a store
 * with another number of places starts cold. */
#define HELPERS 16u

/* Each child is attached, each runner too, and those of the generation before
 * with them.  In steps, for the same reason. */
static void allow_children(kv_config_t *config)
{
    const unsigned step = 512;
    unsigned places = 0;
    int children;

    if (ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &children) == APR_SUCCESS
        && children > 0) {
        places = 2u * (unsigned)children;
    }
    places += HELPERS;
    if (ephpm_threaded()) {
        places += 2 * ephpm_settings.runners.processes;
        places = (places + step - 1) / step * step;
    }
    if (config->threads_max < places) {
        config->threads_max = places;
    }
}

static kept_store_t *make_store(kept_t *kept, server_rec *server,
                                const ephpm_store_t *store)
{
    const apr_size_t page = (apr_size_t)sysconf(_SC_PAGESIZE);
    kept_store_t *made;
    apr_shm_t *shm;
    apr_pool_t *pool;
    apr_status_t status;
    kv_result_t result;
    apr_uintptr_t base;

    apr_pool_create(&pool, server->process->pool);
    apr_pool_tag(pool, "mod_ephpm store");
    /* libapr puts a word of its own before what it returns. */
    status = store->size_bytes <= APR_SIZE_MAX - page
        ? apr_shm_create(&shm, store->size_bytes + page, NULL, pool)
        : APR_ENOMEM;
    if (status != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, status, server,
            "%s: EphpmStore %s: %" APR_SIZE_T_FMT " bytes of shared memory "
            "cannot be had: make it smaller, or free memory",
            store->where, store->name, store->size_bytes);
        apr_pool_destroy(pool);
        return NULL;
    }
    base = (apr_uintptr_t)apr_shm_baseaddr_get(shm);
    base = (base + page - 1) / page * page;
#ifdef MADV_DONTDUMP
    /* A core dump would hold up whoever waits for the dead one's locks. */
    madvise((void *)base, store->size_bytes, MADV_DONTDUMP);
#endif
    result = kv_store_create((void *)base, store->size_bytes, &store->config);
    if (result != KV_OK) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, server,
            "%s: EphpmStore %s cannot be made with these options: %s",
            store->where, store->name, kv_result_text(result));
        apr_pool_destroy(pool);
        return NULL;
    }
    made = apr_pcalloc(pool, sizeof(*made));
    made->pool = pool;
    made->name = apr_pstrdup(pool, store->name);
    made->options = options_text(pool, &store->config);
    made->size_bytes = store->size_bytes;
    made->layout = kv_layout_hash();
    made->memory = (void *)base;
    made->next = kept->first;
    kept->first = made;
    return made;
}

/* Samples for the status page, which can do without. */
static void make_history(kept_store_t *kept, server_rec *server)
{
    apr_shm_t *shm;
    apr_status_t status;

    kept->history_layout = ephpm_history_layout();
    kept->history = NULL;
    status = apr_shm_create(&shm, ephpm_history_bytes(), NULL, kept->pool);
    if (status != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, status, server,
            "EphpmStore %s: the status page has no graphs of it, for shared "
            "memory cannot be had", kept->name);
        return;
    }
    kept->history = ephpm_history_make(apr_shm_baseaddr_get(shm));
}

/* Why what is there cannot be taken over, or NULL. */
static const char *difference(apr_pool_t *pool, const kept_store_t *kept,
                              const ephpm_store_t *store)
{
    if (kept->layout != kv_layout_hash()) {
        return "another version of mod_ephpm made it";
    }
    if (kept->size_bytes != store->size_bytes) {
        return apr_psprintf(pool,
            "its size was %" APR_SIZE_T_FMT " bytes and is now "
            "%" APR_SIZE_T_FMT, kept->size_bytes, store->size_bytes);
    }
    if (strcmp(kept->options, options_text(pool, &store->config)) != 0) {
        return apr_psprintf(pool, "its options were %s", kept->options);
    }
    return NULL;
}

static void drop_store(kept_t *kept, kept_store_t *store)
{
    kept_store_t **link = &kept->first;

    while (*link != store) {
        link = &(*link)->next;
    }
    *link = store->next;
    apr_pool_destroy(store->pool);
}

static int open_store(apr_pool_t *ptemp, server_rec *server, kept_t *kept,
                      ephpm_store_t *store)
{
    kept_store_t *found = kept->first;
    const char *why = NULL;

    while (found != NULL && strcmp(found->name, store->name) != 0) {
        found = found->next;
    }
    allow_children(&store->config);
    if (found != NULL) {
        why = difference(ptemp, found, store);
        if (why != NULL) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server,
                         "EphpmStore %s starts cold: %s", store->name, why);
            drop_store(kept, found);
            found = NULL;
        }
    }
    if (found != NULL) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, server,
                     "EphpmStore %s is kept", store->name);
    } else {
        found = make_store(kept, server, store);
        if (found == NULL) {
            return HTTP_INTERNAL_SERVER_ERROR;
        }
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, server,
                     "EphpmStore %s is new: %" APR_SIZE_T_FMT " bytes, %s",
                     store->name, store->size_bytes, found->options);
    }
    if (found->history_layout != ephpm_history_layout()) {
        make_history(found, server);
    }
    found->wanted = 1;
    store->memory = found->memory;
    store->history = found->history;
    return OK;
}

int ephpm_stores_open(apr_pool_t *ptemp, server_rec *server)
{
    kept_t *kept = ap_retained_data_get(RETAINED_KEY);
    kept_store_t *store, *next;

    if (kept == NULL) {
        kept = ap_retained_data_create(RETAINED_KEY, sizeof(*kept));
    }
    for (store = kept->first; store != NULL; store = store->next) {
        store->wanted = 0;
    }
    for (int i = 0; i < ephpm_settings.stores->nelts; i++) {
        int opened = open_store(ptemp, server, kept, store_at(i));

        if (opened != OK) {
            return opened;
        }
    }
    for (store = kept->first; store != NULL; store = next) {
        next = store->next;
        if (!store->wanted) {
            ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, server,
                         "EphpmStore %s is in the configuration no longer: "
                         "its memory is freed", store->name);
            drop_store(kept, store);
        }
    }
    return OK;
}

/* ------------------------------------------------------------------ */
/* Handles, in a child                                                 */

static void make_lock(ephpm_store_t *store, apr_pool_t *pchild)
{
    if (ephpm_threaded()
        && apr_thread_mutex_create(&store->lock, APR_THREAD_MUTEX_DEFAULT,
                                   pchild) != APR_SUCCESS) {
        kv_store_detach(store->handle);
        store->handle = NULL;
    }
}

void ephpm_stores_attach(apr_pool_t *pchild, server_rec *server)
{
    for (int i = 0; i < ephpm_settings.stores->nelts; i++) {
        ephpm_store_t *store = store_at(i);
        kv_result_t result;

        result = kv_store_attach(store->memory, store->size_bytes,
                                 &store->handle);
        if (result != KV_OK) {
            store->handle = NULL;
            ap_log_error(APLOG_MARK, APLOG_ERR, 0, server,
                "EphpmStore %s cannot be used by this process: %s; restart "
                "the server", store->name, kv_result_text(result));
        }
        make_lock(store, pchild);
    }
}

void ephpm_stores_detach(void)
{
    for (int i = 0; i < ephpm_settings.stores->nelts; i++) {
        kv_store_detach(store_at(i)->handle);
        store_at(i)->handle = NULL;
    }
}

kv_store_t *ephpm_store_handle(int index)
{
    return index >= 0 && index < ephpm_settings.stores->nelts
        ? store_at(index)->handle : NULL;
}

kv_store_t *ephpm_store_lock(int index)
{
    kv_store_t *handle = ephpm_store_handle(index);

    if (handle != NULL && store_at(index)->lock != NULL) {
        apr_thread_mutex_lock(store_at(index)->lock);
    }
    return handle;
}

void ephpm_store_unlock(int index)
{
    if (store_at(index)->lock != NULL) {
        apr_thread_mutex_unlock(store_at(index)->lock);
    }
}

kv_store_t *ephpm_store_lookup(const char *name)
{
    request_rec *r = ephpm_current_request();
    const ephpm_server_config_t *config;
    int index;

    if (r == NULL) {
        return NULL;
    }
    config = ap_get_module_config(r->server->module_config, &ephpm_module);
    if (config->kv_off) {
        return NULL;
    }
    index = name ? ephpm_store_index(name) : config->store;
    return ephpm_store_handle(index);
}
