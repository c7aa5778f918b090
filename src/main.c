/* The program: everything about its arguments is decided in lua/lunette/cli. */
#include "bind/cli.h"

int main(int argc, char **argv) {
  return ln_cli_main(argc, argv);
}
