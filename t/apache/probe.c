/* probe.c - a module that calls a socache provider as httpd's modules do.
 *
 *   LoadModule probe_module .../probe.so
 *   ProbeCache ephpm:NAME
 *   /probe?op=store&id=a&data=b&ms=1000     handler `probe`
 */

#include <httpd.h>
#include <http_config.h>
#include <http_protocol.h>
#include <ap_provider.h>
#include <ap_socache.h>
#include <apr_strings.h>

#include <stdlib.h>
#include <string.h>

extern module AP_MODULE_DECLARE_DATA probe_module;

static const ap_socache_provider_t *provider;
static ap_socache_instance_t *instance;

static const char *probe_cache(cmd_parms *cmd, void *unused,
                               const char *value)
{
    char *name = apr_pstrdup(cmd->pool, value);
    char *argument = strchr(name, ':');

    (void)unused;
    if (argument != NULL) {
        *argument++ = '\0';
    }
    provider = ap_lookup_provider(AP_SOCACHE_PROVIDER_GROUP, name,
                                  AP_SOCACHE_PROVIDER_VERSION);
    return provider ? provider->create(&instance, argument, cmd->temp_pool,
                                       cmd->pool)
                    : "there is no such provider";
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog,
                       apr_pool_t *ptemp, server_rec *server)
{
    (void)plog;
    (void)ptemp;
    return provider->init(instance, "probe", NULL, server, pconf)
               == APR_SUCCESS ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

static const char *value_of(request_rec *r, const char *name)
{
    const char *at = r->args ? strstr(r->args, name) : NULL;

    return at ? apr_pstrndup(r->pool, at + strlen(name),
                             strcspn(at + strlen(name), "&"))
              : "";
}

static apr_status_t show(ap_socache_instance_t *of, server_rec *server,
                         void *context, const unsigned char *id,
                         unsigned int id_len, const unsigned char *data,
                         unsigned int data_len, apr_pool_t *pool)
{
    request_rec *r = context;
    const char *stop = value_of(r, "stop=");

    (void)of;
    (void)server;
    (void)pool;
    if (strlen((const char *)id) != id_len
        || strlen((const char *)data) != data_len) {
        ap_rputs("not ended by NUL\n", r);
    }
    ap_rprintf(r, "%s=%s\n", id, data);
    return *stop ? atoi(stop) : APR_SUCCESS;
}

static int probe(request_rec *r)
{
    const char *op, *id, *data;
    unsigned char *found;
    unsigned int room;
    apr_status_t status = APR_ENOTIMPL;

    if (r->handler == NULL || strcmp(r->handler, "probe") != 0) {
        return DECLINED;
    }
    op = value_of(r, "op=");
    id = value_of(r, "id=");
    data = value_of(r, "data=");
    room = (unsigned int)atoi(value_of(r, "room="));
    ap_set_content_type(r, "text/plain");
    if (strcmp(op, "flags") == 0) {
        status = (apr_status_t)provider->flags;
    } else if (strcmp(op, "store") == 0) {
        status = provider->store(instance, r->server,
            (const unsigned char *)id, (unsigned int)strlen(id),
            apr_time_now() + apr_time_from_msec(atoi(value_of(r, "ms="))),
            (unsigned char *)data, (unsigned int)strlen(data), r->pool);
    } else if (strcmp(op, "retrieve") == 0) {
        found = apr_pcalloc(r->pool, room + 1);
        status = provider->retrieve(instance, r->server,
            (const unsigned char *)id, (unsigned int)strlen(id), found, &room,
            r->pool);
        if (status == APR_SUCCESS) {
            ap_rprintf(r, "%u %s\n", room, found);
        }
    } else if (strcmp(op, "remove") == 0) {
        status = provider->remove(instance, r->server,
            (const unsigned char *)id, (unsigned int)strlen(id), r->pool);
    } else if (strcmp(op, "iterate") == 0) {
        status = provider->iterate(instance, r->server, r, show, r->pool);
    } else if (strcmp(op, "status") == 0) {
        provider->status(instance, r, atoi(id));
        status = APR_SUCCESS;
    }
    ap_rprintf(r, "%s\n", status == APR_SUCCESS ? "done"
                          : status == APR_NOTFOUND ? "not found"
                          : status == APR_ENOSPC ? "no space"
                          : apr_itoa(r->pool, status));
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(probe, NULL, NULL, APR_HOOK_MIDDLE);
}

static const command_rec directives[] = {
    AP_INIT_TAKE1("ProbeCache", probe_cache, NULL, RSRC_CONF,
                  "PROVIDER:ARGUMENT"),
    { NULL, { NULL }, NULL, 0, RAW_ARGS, NULL }
};

AP_DECLARE_MODULE(probe) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, directives,
    register_hooks, AP_MODULE_FLAG_NONE
};
