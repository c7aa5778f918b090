/* What the command line's Lua side is given: the module "lunette.cli.core". */
#ifndef LN_BIND_CLI_H
#define LN_BIND_CLI_H

/* Runs the command line on argv (argv[0] is the program) in a Lua state of its own. Returns the
 * exit code. */
int ln_cli_main(int argc, char **argv);

#endif
