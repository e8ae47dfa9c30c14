
/*
 * ngx_http_ephpm_store.c - stores: zones, keeping them over a reload.
 *
 *     zone   | slab pool, pages | store | history of the status page |
 *            '----- nginx's ----'
 *
 * A script can write every byte that its process has mapped.  So the master,
 * which may be root, makes a store and from then on neither locks nor follows
 * anything in it: what it wants to know at a reload is in
 * ngx_http_ephpm_store_t, in the memory of the cycle before.
 *
 * nginx itself follows what is at the beginning of a zone, of any module's:
 * when a worker has died the master looks whether the dead one held the
 * mutex, whose address is written in the zone.  The spawner and its runners
 * therefore give up all zones of other modules and that part of ours.
 *
 * A store that cannot be kept gets another zone; workers and runners of the
 * cycle before go on with the old one.
 */


#include "ngx_http_ephpm_module.h"

#include <sys/mman.h>


static ngx_int_t ngx_http_ephpm_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);


static ngx_http_ephpm_store_t *
ngx_http_ephpm_store_find(ngx_http_ephpm_main_conf_t *mcf, ngx_str_t *name,
    ngx_uint_t *index)
{
    ngx_uint_t                i;
    ngx_http_ephpm_store_t  **store;

    store = mcf->stores.elts;

    for (i = 0; i < mcf->stores.nelts; i++) {
        if (store[i]->name.len == name->len
            && ngx_memcmp(store[i]->name.data, name->data, name->len) == 0)
        {
            *index = i;
            return store[i];
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_ephpm_store_number(ngx_http_ephpm_main_conf_t *mcf, ngx_str_t *name)
{
    ngx_uint_t  i;

    return ngx_http_ephpm_store_find(mcf, name, &i) ? i + 1 : 0;
}


static ngx_uint_t
ngx_http_ephpm_store_name(ngx_str_t *name)
{
    u_char      ch;
    ngx_uint_t  i;

    if (name->len < 1 || name->len > 64
        || (name->len == 3
            && ngx_strncasecmp(name->data, (u_char *) "off", 3) == 0))
    {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        ch = name->data[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
              || (ch >= '0' && ch <= '9') || ch == '_' || ch == '.'
              || ch == '-'))
        {
            return 0;
        }
    }

    return 1;
}


/* every option in one form, but for how many may be attached */

static ngx_int_t
ngx_http_ephpm_store_options(ngx_pool_t *pool, ngx_http_ephpm_store_t *store)
{
    u_char       *p;
    kv_config_t  *config = &store->config;

    p = ngx_pnalloc(pool, 256);
    if (p == NULL) {
        return NGX_ERROR;
    }

    store->options.data = p;
    store->options.len = ngx_snprintf(p, 255,
                             "eviction=%s compression=%s:%d min-compress=%uD",
                             kv_eviction_name(config->eviction),
                             kv_compression_name(config->compression),
                             config->compression_level,
                             config->min_compress_bytes)
                         - p;

    return NGX_OK;
}


/*
 * What nginx's slab pool needs beside the store: its header, and a descriptor
 * for each page.
 */

static size_t
ngx_http_ephpm_zone_size(size_t size)
{
    size_t  pages, overhead;

    size = ngx_align(size, ngx_pagesize)
           + ngx_align(ephpm_history_bytes(), ngx_pagesize);
    pages = size / ngx_pagesize + 16;
    overhead = sizeof(ngx_slab_pool_t) + pages * sizeof(ngx_slab_page_t);

    return size + ngx_align(overhead, ngx_pagesize) + 8 * ngx_pagesize;
}


char *
ngx_http_ephpm_kv_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ephpm_main_conf_t *mcf = conf;

    char                     error[256];
    u_char                  *p;
    ngx_str_t               *value, name, zone;
    ngx_uint_t               i;
    ngx_http_ephpm_store_t  *store, *known, **slot;

    value = cf->args->elts;

    store = ngx_pcalloc(cf->pool, sizeof(ngx_http_ephpm_store_t));
    if (store == NULL) {
        return NGX_CONF_ERROR;
    }

    kv_config_init(&store->config);

    ngx_str_null(&name);

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "zone=", 5) == 0) {

            if (name.data) {
                return "takes one zone=NAME:SIZE";
            }

            name.data = value[i].data + 5;
            p = (u_char *) ngx_strchr(name.data, ':');

            if (p == NULL) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid zone \"%V\": write "
                                   "zone=NAME:SIZE, as zone=default:256m",
                                   &value[i]);
                return NGX_CONF_ERROR;
            }

            name.len = p - name.data;
            *p++ = '\0';

            if (!ngx_http_ephpm_store_name(&name)) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "\"%V\" cannot be a store's name: take 1 "
                                   "to 64 letters, digits and _ . - (and not "
                                   "\"off\")", &name);
                return NGX_CONF_ERROR;
            }

            if (kv_size_parse((char *) p, &store->size) != KV_OK) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "store \"%V\": \"%s\" is not a size: write "
                                   "a number with k, m or g, as 256m",
                                   &name, p);
                return NGX_CONF_ERROR;
            }

            if (store->size < KV_STORE_MIN_BYTES) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "store \"%V\": %s is too small: a store "
                                   "has at least %uDm", &name, p,
                                   (uint32_t) (KV_STORE_MIN_BYTES >> 20));
                return NGX_CONF_ERROR;
            }

            if (store->size > NGX_MAX_SIZE_T_VALUE / 2) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "store \"%V\": %s is too large", &name, p);
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (kv_config_set(&store->config, (char *) value[i].data, error,
                          sizeof(error))
            != KV_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\": %s",
                               &cmd->name, error);
            return NGX_CONF_ERROR;
        }
    }

    if (name.data == NULL) {
        return "needs zone=NAME:SIZE";
    }

    known = ngx_http_ephpm_store_find(mcf, &name, &i);

    if (known) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "there is a store \"%V\" already, from %s:%ui",
                           &name, known->file, known->line);
        return NGX_CONF_ERROR;
    }

    store->interface = NGX_EPHPM_STORE_INTERFACE;
    store->name = name;
    store->file = cf->conf_file->file.name.data;
    store->line = cf->conf_file->line;
    store->layout = kv_layout_hash();
    store->history_layout = ephpm_history_layout();

    if (ngx_http_ephpm_store_options(cf->pool, store) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    zone.len = sizeof(NGX_EPHPM_ZONE_PREFIX) - 1 + name.len;
    zone.data = ngx_pnalloc(cf->pool, zone.len + 1);
    if (zone.data == NULL) {
        return NGX_CONF_ERROR;
    }

    (void) ngx_sprintf(zone.data, NGX_EPHPM_ZONE_PREFIX "%V%Z", &name);

    store->zone = ngx_shared_memory_add(cf, &zone,
                                        ngx_http_ephpm_zone_size(store->size),
                                        &ngx_http_ephpm_module);
    if (store->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    store->zone->init = ngx_http_ephpm_zone_init;
    store->zone->data = store;

    slot = ngx_array_push(&mcf->stores);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = store;

    return NGX_CONF_OK;
}


/*
 * Can what is there be kept?  Says why not, and has another zone made.
 * Called when the whole configuration is known.
 */

ngx_int_t
ngx_http_ephpm_stores_check(ngx_cycle_t *cycle,
    ngx_http_ephpm_main_conf_t *mcf, ngx_uint_t processes)
{
    ngx_uint_t                i;
    ngx_http_ephpm_store_t  **stores, *store, *before;

    stores = mcf->stores.elts;

    for (i = 0; i < mcf->stores.nelts; i++) {
        store = stores[i];

        /* those of the cycle before are attached too while they end */
        store->config.threads_max = ngx_max(store->config.threads_max,
                                            2 * processes);

        if (cycle->old_cycle == NULL) {
            continue;
        }

        before = ngx_ephpm_store_of_zone(cycle->old_cycle,
                                         &ngx_http_ephpm_module,
                                         &store->zone->shm.name);
        if (before == NULL) {
            continue;
        }

        if (before->layout != store->layout
            || before->history_layout != store->history_layout)
        {
            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "ephpm: store \"%V\" starts cold: another version "
                          "of the module made it", &store->name);

        } else if (before->size != store->size) {
            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "ephpm: store \"%V\" starts cold: its size was %uz "
                          "bytes and is now %uz",
                          &store->name, before->size, store->size);

        } else if (before->options.len != store->options.len
                   || ngx_memcmp(before->options.data, store->options.data,
                                 store->options.len)
                      != 0)
        {
            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "ephpm: store \"%V\" starts cold: its options were "
                          "%V", &store->name, &before->options);

        } else if (before->config.threads_max < store->config.threads_max) {
            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "ephpm: store \"%V\" starts cold: it was made for "
                          "%uD processes, and there may be %uD now",
                          &store->name, before->config.threads_max,
                          store->config.threads_max);

        } else {
            store->config.threads_max = before->config.threads_max;
            store->zone->shm.size = before->zone->shm.size;
            continue;
        }

        /*
         * nginx keeps a zone that has the same name and size; "noreuse" would
         * have to be said of the old one too, and it may stay
         */

        if (store->zone->shm.size == before->zone->shm.size) {
            store->zone->shm.size += ngx_pagesize;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ephpm_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_ephpm_store_t  *before = data;

    void                    *memory;
    kv_result_t              result;
    ngx_slab_pool_t         *shpool;
    ngx_http_ephpm_store_t  *store;

    store = shm_zone->data;

    if (before) {
        store->memory = before->memory;
        store->history = before->history;

        ngx_log_error(NGX_LOG_INFO, shm_zone->shm.log, 0,
                      "ephpm: store \"%V\" is kept", &store->name);
        return NGX_OK;
    }

    if (ngx_test_config) {
        /* every page of it would be written */
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    memory = ngx_slab_alloc(shpool, store->size);
    if (memory == NULL) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "ephpm: store \"%V\" finds no room in its zone",
                      &store->name);
        return NGX_ERROR;
    }

#if (NGX_HAVE_MAP_ANON && defined MADV_DONTDUMP)
    /* a core dump would hold up whoever waits for the dead one's locks */
    (void) madvise(memory, store->size, MADV_DONTDUMP);
#endif

    result = kv_store_create(memory, store->size, &store->config);

    if (result != KV_OK) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "ephpm: store \"%V\" cannot be made with these options: "
                      "%s, in %s:%ui", &store->name, kv_result_text(result),
                      store->file, store->line);
        return NGX_ERROR;
    }

    store->memory = memory;

    memory = ngx_slab_calloc(shpool, ephpm_history_bytes());

    if (memory) {
        store->history = ephpm_history_make(memory);

    } else {
        ngx_log_error(NGX_LOG_WARN, shm_zone->shm.log, 0,
                      "ephpm: store \"%V\": the status page has no graphs of "
                      "it, for its zone has no room", &store->name);
    }

    ngx_log_error(NGX_LOG_INFO, shm_zone->shm.log, 0,
                  "ephpm: store \"%V\" is new: %uz bytes, %V",
                  &store->name, store->size, &store->options);

    return NGX_OK;
}


void
ngx_http_ephpm_stores_attach(ngx_cycle_t *cycle,
    ngx_http_ephpm_main_conf_t *mcf)
{
    ngx_uint_t                i;
    kv_result_t               result;
    ngx_http_ephpm_store_t  **store;

    store = mcf->stores.elts;

    for (i = 0; i < mcf->stores.nelts; i++) {

        result = kv_store_attach(store[i]->memory, store[i]->size,
                                 &store[i]->handle);

        if (result != KV_OK) {
            store[i]->handle = NULL;
            ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                          "ephpm: the status page does not show store "
                          "\"%V\": %s",
                          &store[i]->name, kv_result_text(result));
        }
    }
}


void
ngx_http_ephpm_stores_detach(ngx_http_ephpm_main_conf_t *mcf)
{
    ngx_uint_t                i;
    ngx_http_ephpm_store_t  **store;

    store = mcf->stores.elts;

    for (i = 0; i < mcf->stores.nelts; i++) {
        kv_store_detach(store[i]->handle);
        store[i]->handle = NULL;
    }
}


void
ngx_http_ephpm_stores_sample(ngx_http_ephpm_main_conf_t *mcf)
{
    uint64_t                  now_ms;
    kv_stats_t                stats;
    ngx_uint_t                i;
    ngx_http_ephpm_store_t  **store;

    store = mcf->stores.elts;
    now_ms = ephpm_history_clock();

    for (i = 0; i < mcf->stores.nelts; i++) {

        if (store[i]->handle && store[i]->history
            && ephpm_history_due(store[i]->history, now_ms))
        {
            kv_store_stats(store[i]->handle, &stats);
            ephpm_history_add(store[i]->history, now_ms, &stats);
        }
    }
}


void
ngx_http_ephpm_zones_unmap(ngx_cycle_t *cycle, ngx_http_ephpm_main_conf_t *mcf)
{
#if (NGX_HAVE_MAP_ANON)

    size_t                   size;
    ngx_uint_t               i;
    ngx_shm_zone_t          *zone;
    ngx_list_part_t         *part;
    ngx_http_ephpm_store_t  *store;

    part = &cycle->shared_memory.part;
    zone = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            zone = part->elts;
            i = 0;
        }

        if (zone[i].shm.addr == NULL) {
            continue;
        }

        size = zone[i].shm.size;

        if (zone[i].tag == &ngx_http_ephpm_module) {
            store = zone[i].data;
            size = (u_char *) store->memory - zone[i].shm.addr;
            size -= size % ngx_pagesize;
        }

        if (munmap(zone[i].shm.addr, size) == -1) {
            ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                          "munmap(%p, %uz) failed", zone[i].shm.addr, size);
        }
    }

#endif
}
