/* ephpm_sapi_private.h - what the SAPI's own sources share. */

#ifndef EPHPM_SAPI_PRIVATE_H
#define EPHPM_SAPI_PRIVATE_H

#include "ephpm_sapi.h"

/** The host. */
extern const ephpm_server_t *ephpm_server;

/** The request between begin and end, else NULL. */
extern const ephpm_request_t *ephpm_sapi_request;

/** The host's request, or NULL where there is nobody to talk to: outside of
 * requests, and in a process that the script has forked. */
void *ephpm_sapi_client(void);

/** Watch the functions that change the process (ephpm_sapi_process.c).  To be
 * called before PHP starts. */
void ephpm_process_watch(void);

/** Go to the script's folder, and tell PHP to stay there. */
void ephpm_process_enter(const char *script);

/** Go back, once the script itself has ended; and at a request's end undo what
 * else has been done. */
void ephpm_process_leave_script(void);
void ephpm_process_restore(void);

/** Apply a setting to the request (ephpm_sapi_ini.c). */
void ephpm_ini_apply(const ephpm_ini_t *ini);

/** Apply the sections of php.ini that are for the request. */
void ephpm_ini_sections(const ephpm_request_t *request);

/** Free what is remembered of settings, before PHP stops. */
void ephpm_ini_forget(void);

/** The functions that every host has (ephpm_sapi_functions.c). */
extern const zend_function_entry *const ephpm_sapi_functions;

#endif
