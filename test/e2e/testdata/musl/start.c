/* start runs its arguments: what su-exec and tini are in an image of Alpine, a
 * small program that is linked against musl. */
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	execv(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
