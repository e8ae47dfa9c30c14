/* ephpm_response.c - a script's headers, status and end, carried out on a
 * request of httpd's; and the request's body.  The same for scripts that run
 * in line and for those in runners.
 */

#include "mod_ephpm.h"

#include <apr_buckets.h>
#include <util_filter.h>

#include <string.h>

APLOG_USE_MODULE(ephpm);

/* ------------------------------------------------------------------ */
/* The response                                                        */

/* What may have come from elsewhere is not this response's. */
void ephpm_response_begin(ephpm_response_t *response, request_rec *r)
{
    response->r = r;
    response->content_type = NULL;
    apr_table_unset(r->headers_out, "Content-Length");
    apr_table_unset(r->headers_out, "Last-Modified");
    apr_table_unset(r->headers_out, "Expires");
    apr_table_unset(r->headers_out, "ETag");
    r->no_local_copy = 1;
}

void ephpm_response_header(ephpm_response_t *response, ephpm_header_op_t op,
                           const char *name, const char *value)
{
    request_rec *r = response->r;
    bool is_type = name != NULL && strcasecmp(name, "Content-Type") == 0;
    apr_off_t length;
    char *end;

    switch (op) {
    case EPHPM_HEADER_DELETE_ALL:
        apr_table_clear(r->headers_out);
        response->content_type = NULL;
        break;
    case EPHPM_HEADER_DELETE:
        if (is_type) {
            response->content_type = NULL;
        } else {
            apr_table_unset(r->headers_out, name);
        }
        break;
    case EPHPM_HEADER_ADD:
    case EPHPM_HEADER_REPLACE:
        if (is_type) {
            response->content_type = *value ? apr_pstrdup(r->pool, value)
                                            : NULL;
        } else if (strcasecmp(name, "Content-Length") == 0) {
            /* httpd wants it in a place of its own. */
            if (apr_strtoff(&length, value, &end, 10) == APR_SUCCESS
                && end != value && *end == '\0' && length >= 0) {
                ap_set_content_length(r, length);
            }
        } else if (op == EPHPM_HEADER_ADD) {
            apr_table_add(r->headers_out, name, value);
        } else {
            apr_table_set(r->headers_out, name, value);
        }
        break;
    }
}

void ephpm_response_status(ephpm_response_t *response, int status,
                           const char *reason)
{
    request_rec *r = response->r;

    r->status = status;
    r->status_line = NULL;
    if (reason != NULL && status >= 100 && status <= 999) {
        r->status_line = apr_psprintf(r->pool, "%03d %s", status, reason);
    } else if (status >= 200 && status <= 999
               && atoi(ap_get_status_line(status)) != status) {
        /* One that httpd does not know, and would make a 500 of.  A 1xx
         * would leave the client waiting for the response. */
        r->status_line = apr_psprintf(r->pool, "%03d", status);
    }
    /* Once only: each call adds the filters that belong to the type.  What
     * the type was until now may be the one that led to us. */
    ap_set_content_type(r, response->content_type);
}

bool ephpm_response_interim(request_rec *r, int status)
{
    apr_table_t *headers;
    const char *line = r->status_line;
    int final = r->status;

    if (!ephpm_response_takes_interim(r)) {
        return false;
    }
    headers = apr_table_copy(r->pool, r->headers_out);
    r->status = status;
    r->status_line = NULL;
    ap_send_interim_response(r, 1);
    r->status = final;
    r->status_line = line;
    r->headers_out = headers;
    return !r->connection->aborted;
}

bool ephpm_response_takes_interim(const request_rec *r)
{
    return r->main == NULL && r->proto_num >= HTTP_VERSION(1, 1);
}

void ephpm_response_end(request_rec *r)
{
    apr_bucket_alloc_t *buckets = r->connection->bucket_alloc;
    apr_bucket_brigade *end = apr_brigade_create(r->pool, buckets);

    APR_BRIGADE_INSERT_TAIL(end, apr_bucket_eos_create(buckets));
    ap_pass_brigade(r->output_filters, end);
    apr_brigade_destroy(end);
}

/* ------------------------------------------------------------------ */
/* The request's body                                                  */

/* An input filter of httpd's that refuses a body sends an error down the
 * output filters, whose end runs the ErrorDocument there and then.  When PHP
 * only begins with the request, or ends it, another script cannot run: so
 * the error is caught first. */
static apr_status_t catch_refusal(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    ephpm_body_t *body = f->ctx;

    for (apr_bucket *b = APR_BRIGADE_FIRST(brigade);
         b != APR_BRIGADE_SENTINEL(brigade); b = APR_BUCKET_NEXT(b)) {
        if (AP_BUCKET_IS_ERROR(b)) {
            body->answer = ((ap_bucket_error *)b->data)->status;
        }
    }
    apr_brigade_cleanup(brigade);
    /* What is left of the body is not the next request. */
    f->c->keepalive = AP_CONN_CLOSE;
    return AP_FILTER_ERROR;
}

static apr_status_t get_body(ephpm_body_t *body, apr_off_t size_bytes)
{
    static ap_filter_rec_t record = {
        .name = "ephpm_refusal",
        .filter_func = { .out_func = catch_refusal },
        .ftype = AP_FTYPE_RESOURCE
    };
    request_rec *r = body->r;
    ap_filter_t filter = { .frec = &record, .ctx = body, .r = r,
                           .c = r->connection };
    ap_filter_t *filters = r->output_filters;
    apr_status_t status;

    if (!body->in_script) {
        r->output_filters = &filter;
    }
    status = ap_get_brigade(r->input_filters, body->brigade,
                            AP_MODE_READBYTES, APR_BLOCK_READ, size_bytes);
    r->output_filters = filters;
    return status;
}

size_t ephpm_body_read(ephpm_body_t *body, char *buffer, size_t size_bytes)
{
    request_rec *r = body->r;
    size_t total = 0;

    if (body->brigade == NULL) {
        body->brigade = apr_brigade_create(r->pool,
                                           r->connection->bucket_alloc);
    }
    while (total < size_bytes && !body->ended) {
        apr_size_t length = size_bytes - total;
        apr_status_t status;

        status = get_body(body, (apr_off_t)length);
        if (status == APR_SUCCESS) {
            body->ended = APR_BRIGADE_EMPTY(body->brigade)
                || APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(body->brigade));
            status = apr_brigade_flatten(body->brigade, buffer + total,
                                         &length);
        }
        apr_brigade_cleanup(body->brigade);
        if (status != APR_SUCCESS) {
            body->ended = true;
            body->error = status;
            ap_log_rerror(APLOG_MARK, APLOG_INFO, status, r,
                          "the request's body ended too early, after %"
                          APR_SIZE_T_FMT " bytes", body->bytes);
            break;
        }
        total += length;
        body->bytes += length;
    }
    return total;
}

/* A client that stops in the middle of its body is PHP's to handle, which
 * has an error code for half an upload; what httpd itself refuses (a body
 * over LimitRequestBody, one that comes too slowly, a broken chunk) is not
 * to be worked on. */
int ephpm_body_refused(const ephpm_body_t *body)
{
    apr_status_t error = body->error;

    if (body->answer != OK) {
        return body->answer;
    }
    if (error == APR_SUCCESS || error == APR_INCOMPLETE
        || APR_STATUS_IS_EOF(error) || APR_STATUS_IS_ECONNRESET(error)
        || APR_STATUS_IS_ECONNABORTED(error)
        || body->r->connection->aborted) {
        return OK;
    }
    return ap_map_http_request_error(error, HTTP_BAD_REQUEST);
}

int64_t ephpm_body_length(const request_rec *r)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    apr_off_t bytes;
    char *end;

    if (length != NULL
        && apr_strtoff(&bytes, length, &end, 10) == APR_SUCCESS
        && *end == '\0' && bytes > 0) {
        return bytes;
    }
    return 0;
}

/* httpd would find it out when the body is read, in the middle of a script or
 * even after it.  The page that tells of it (ErrorDocument) still has the
 * body before it. */
bool ephpm_body_too_large(const request_rec *r)
{
    apr_off_t limit = ap_get_limit_req_body(r);
    int64_t content_length = ephpm_body_length(r);

    if (limit <= 0 || content_length <= limit || r->status != HTTP_OK) {
        return false;
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  "the request's body has %" APR_INT64_T_FMT " bytes, more "
                  "than LimitRequestBody allows (%" APR_OFF_T_FMT ")",
                  content_length, limit);
    return true;
}
