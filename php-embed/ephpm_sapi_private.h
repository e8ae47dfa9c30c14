/* ephpm_sapi_private.h - what the SAPI's own sources share. */

#ifndef EPHPM_SAPI_PRIVATE_H
#define EPHPM_SAPI_PRIVATE_H

#include "ephpm_sapi.h"

/** The host. */
extern const ephpm_server_t *ephpm_server;

/** The request between begin and end, else NULL. */
extern const ephpm_request_t *ephpm_sapi_request;

/** The functions that every host has (ephpm_sapi_functions.c). */
extern const zend_function_entry *const ephpm_sapi_functions;

#endif
