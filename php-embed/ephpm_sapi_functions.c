/* ephpm_sapi_functions.c - the functions that a script has under every host,
 * beside PHP's own. */

#include "ephpm_sapi_private.h"

#include "ephpm_sapi_arginfo.h"

#include <php_main.h>
#include <php_output.h>
#include <SAPI.h>
#include <ext/standard/head.h>

const zend_function_entry *const ephpm_sapi_functions = ext_functions;

static void add_pair(void *to, const char *name, const char *value)
{
    add_assoc_string(to, name, value);
}

PHP_FUNCTION(getallheaders)
{
    ZEND_PARSE_PARAMETERS_NONE();

    array_init(return_value);
    if (SG(server_context) != NULL) {
        ephpm_server->each_request_header(SG(server_context), add_pair,
                                          return_value);
    }
}

PHP_FUNCTION(apache_response_headers)
{
    ZEND_PARSE_PARAMETERS_NONE();

    array_init(return_value);
    if (SG(server_context) != NULL
        && ephpm_server->each_response_header != NULL) {
        ephpm_server->each_response_header(SG(server_context), add_pair,
                                           return_value);
    } else {
        ephpm_response_headers(add_pair, return_value);
    }
}

/* What the script writes afterwards is dropped, and does not end it. */
PHP_FUNCTION(fastcgi_finish_request)
{
    void *host = ephpm_sapi_client();

    ZEND_PARSE_PARAMETERS_NONE();

    if (host == NULL || ephpm_server->finish == NULL) {
        RETURN_FALSE;
    }
    php_output_end_all();
    php_header();
    RETURN_BOOL(ephpm_server->finish(host));
}

PHP_FUNCTION(headers_send)
{
    zend_long status = 200;
    void *host = ephpm_sapi_client();

    ZEND_PARSE_PARAMETERS_START(0, 1)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG(status)
    ZEND_PARSE_PARAMETERS_END();

    if (status < 100 || status > 999) {
        zend_argument_value_error(1, "must be between 100 and 999");
        RETURN_THROWS();
    }
    if (host == NULL || SG(headers_sent)) {
        RETURN_FALSE;
    }
    if (status < 200) {
        /* 101 would hand the connection over. */
        if (status == 101 || ephpm_server->send_interim == NULL
            || !ephpm_server->send_interim(host, (int)status)) {
            RETURN_FALSE;
        }
        RETURN_LONG(status);
    }
    SG(sapi_headers).http_response_code = (int)status;
    if (sapi_send_headers() != SUCCESS) {
        RETURN_FALSE;
    }
    RETURN_LONG(status);
}
