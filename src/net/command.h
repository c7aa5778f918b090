/* Finding the program that a command names, the way a shell would, with an error that says what
 * is wrong instead of a bare ENOENT from a child that never was. */
#ifndef LN_NET_COMMAND_H
#define LN_NET_COMMAND_H

#include "base/buf.h"

/* Appends the path to execute, with its NUL, to *path. A command with a slash is taken as it is;
 * others are looked for in PATH of env (NULL or without PATH: Lunette's). Relative paths are
 * relative to cwd, which the child enters first. LN_OK; LN_ENOTFOUND, LN_ENOMEM or LN_ELIMIT with
 * the reason in *why, NUL-terminated. */
int ln_command_find(const char *command, const char *const *env, const char *cwd,
                    struct ln_buf *path, struct ln_buf *why) LN_CHECK;

#endif
