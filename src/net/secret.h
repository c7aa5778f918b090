/* A secret that outlives the process: random bytes in a file, made when they are first
 * needed and then always the same. */
#ifndef LN_NET_SECRET_H
#define LN_NET_SECRET_H

#include "base/base.h"
#include "base/err.h"

enum { LN_SECRET_BYTES = 32, LN_SECRET_WHY = 512 };

/* "$XDG_STATE_HOME/lunette/NAME", or that under ~/.local/state, with the folders made where they
 * are missing (0700). The caller's to free; NULL with why, for people: there is no place for it. */
char *ln_secret_place(const char *name, char why[LN_SECRET_WHY]);

/* Reads the secret in the file, which is made (0600, at once and whole: of several that start at
 * the same time all get the same) when it is not there. Blocks on the file system.
 *
 * LN_EREFUSED with why: what is there is not a regular file, is of another owner than this process
 * or root, can be read or written by others, or has another length; it is left alone. (One of
 * root's may be read by its group: how else would we?) LN_ESYSTEM with why: it can't be read, or
 * made. secret is filled only when all is well. */
int ln_secret_load(const char *path, unsigned char secret[LN_SECRET_BYTES],
                   char why[LN_SECRET_WHY]) LN_CHECK;

#endif
