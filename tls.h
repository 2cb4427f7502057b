/* What tls.c (the transport), cert.c (who we are) and trust.c (whom we believe) share. */
#ifndef TLS_H
#define TLS_H

#include <bearssl_ssl.h>

#include "mail.h"

/* ---- cert.c ---- */

/* A key and its certificate chain, while a handshake looks at them. */
struct cred;

/* Give a server's engine our key, our chain and the cache of its sessions; NULL: there is none. To
 * be returned by cert_done() (NULL is harmless) when the handshake is over. */
struct cred *cert_use(br_ssl_server_context *sc);
void cert_done(struct cred *k);

/* ---- trust.c ---- */

/* Looks at a server's certificates during a handshake. */
struct judge;

/* What a judge says of a key that is not the pinned one; a number BearSSL has no meaning for. */
enum { ERR_PIN = 200 };

/* Give a client's engine a judge; NULL, and *why: there is none. Back by trust_done(), as above. */
struct judge *trust_use(br_ssl_engine_context *e, const struct tls_trust *t, const char **why);
void trust_done(struct judge *j);

/* What is wrong with a certificate: an error of BearSSL, or ERR_PIN. */
const char *trust_explain(int err);

#endif
