
/*
 * ngx_ephpm_store.h - what the two modules know of a store.
 *
 *     ngx_http_ephpm_module.so   makes stores: zones of shared memory
 *     ngx_stream_ephpm_module.so serves them to programs
 *
 * Neither has symbols of the other's; they may be loaded in either order, or
 * come from two versions.  So the second looks among nginx's modules for the
 * first by its name, and among the zones of the cycle for one which has that
 * module as its tag and the store's name with the prefix.  The zone's data is
 * the structure below.  Its first member has one place and meaning for ever.
 */


#ifndef _NGX_EPHPM_STORE_H_INCLUDED_
#define _NGX_EPHPM_STORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ephpm_history.h"
#include "kv.h"


/* other modules may have a zone of the same name */
#define NGX_EPHPM_ZONE_PREFIX      "ephpm_kv:"

#define NGX_EPHPM_HTTP_MODULE      "ngx_http_ephpm_module"

/* another one with each change of the structure */
#define NGX_EPHPM_STORE_INTERFACE  1


typedef struct {
    ngx_uint_t                  interface;  /* NGX_EPHPM_STORE_INTERFACE */
    ngx_str_t                   name;
    u_char                     *file;       /* of its directive */
    ngx_uint_t                  line;
    size_t                      size;
    kv_config_t                 config;
    ngx_str_t                   options;    /* all of config but threads_max */
    uint64_t                    layout;     /* kv_layout_hash() at its making */
    ngx_shm_zone_t             *zone;
    void                       *memory;     /* NULL before the zone is there */
    uint64_t                    history_layout;
    ephpm_history_t            *history;
    /* the http module's, in a worker */
    kv_store_t                 *handle;
} ngx_http_ephpm_store_t;


/* The store whose zone has this tag and name, or NULL. */

static ngx_inline ngx_http_ephpm_store_t *
ngx_ephpm_store_of_zone(ngx_cycle_t *cycle, void *tag, ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_shm_zone_t   *zone;
    ngx_list_part_t  *part;

    part = &cycle->shared_memory.part;
    zone = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NULL;
            }

            part = part->next;
            zone = part->elts;
            i = 0;
        }

        if (zone[i].tag == tag
            && zone[i].shm.name.len == name->len
            && ngx_memcmp(zone[i].shm.name.data, name->data, name->len) == 0)
        {
            return zone[i].data;
        }
    }
}


#endif /* _NGX_EPHPM_STORE_H_INCLUDED_ */
