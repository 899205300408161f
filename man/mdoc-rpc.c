/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes the list of operations of virtiofsd-rpc(7), in mdoc(7), from RPC_OPS, the table that checks and dispatches them.
 * man/make-rpc puts it into the page. Runs in: the build. Bytes written by: this repository.
 */
#include <stdio.h>

#include "proto/rpc.h"

/* What man/virtiofsd-rpc.7.in says in words. */
static_assert(RPC_MSG_MAX == 16384 && RPC_BATCH_MAX == 64 && RPC_UNANSWERED_MAX == 4 &&
	RPC_ARENA_SIZE == 4u << 20 && RPC_ALIGN == 8,
    "the page gives these numbers");
static_assert(RPC_NAME_MAX == 1024 && RPC_TARGET_MAX == 4095 && RPC_XATTR_MAX == 255,
    "and the lengths of names");

/* What the table cannot say. tests/check (group man) finds an operation without a text. */
static const char *const does[RPC_OP_END] = {
	[RPC_LOOKUP] = "Find a name in a directory; the directory itself, or its parent.",
	[RPC_FORGET] =
	    "The guest knows these nodes no more. One without look-ups left is dropped, unless a "
	    "reply that names it is still on its way.",
	[RPC_GETATTR] = "Attributes of a node or an open file.",
	[RPC_SETATTR] = "Change mode, owner, size or times.",
	[RPC_READLINK] = "The content of a symbolic link.",
	[RPC_SYMLINK] = "Make a symbolic link.",
	[RPC_MKNOD] = "Make a file, device node, FIFO or socket.",
	[RPC_MKDIR] = "Make a directory.",
	[RPC_UNLINK] = "Remove a name that is not a directory's.",
	[RPC_RMDIR] = "Remove an empty directory.",
	[RPC_RENAME] = "Move a name, or exchange two.",
	[RPC_LINK] = "Give a node another name.",
	[RPC_OPEN] = "Open a file; a regular one is donated if it may be.",
	[RPC_CREATE] = "Make a regular file and open it, or open it if it is there.",
	[RPC_RELEASE] = "The guest has closed the file: what is cached of it goes.",
	[RPC_READ] = "Read from a file that is not donated.",
	[RPC_WRITE] = "Write to a file that is not donated.",
	[RPC_FLUSH] = "One of the guest's descriptors of the file was closed.",
	[RPC_FSYNC] = "Make data, or data and attributes, durable.",
	[RPC_OPENDIR] = "Open a directory.",
	[RPC_READDIR] = "Entries of a directory.",
	[RPC_READDIRPLUS] = "Entries of a directory, each looked up.",
	[RPC_STATFS] = "The file system of a node.",
	[RPC_ACCESS] = "May these ids do this?",
	[RPC_SETXATTR] = "Set an extended attribute.",
	[RPC_GETXATTR] = "The value of an extended attribute, or its size.",
	[RPC_LISTXATTR] = "The names of extended attributes, or their size.",
	[RPC_REMOVEXATTR] = "Remove an extended attribute.",
	[RPC_FALLOCATE] = "Allocate or free space of a file.",
	[RPC_LSEEK] = "Find data or holes.",
	[RPC_COPY] = "Copy between two open files.",
	[RPC_SYNCFS] = "Make a whole file system durable.",
	[RPC_RESET] = "The session begins anew: nothing is known any more.",
	[RPC_STATX] = "Attributes with the time of birth.",
	[RPC_FLAGS_GET] = "The inode flags of chattr(1), or the project attributes.",
	[RPC_FLAGS_SET] = "Change them.",
	[RPC_TMPFILE] = "Make a regular file without a name and open it.",
	[RPC_LOCKOPEN] = "Open a regular file once more, to be locked and nothing else.",
};

#define X(NAME, nr, req, rep, ...) [nr] = { #req, #rep },
static const struct {
	const char *request, *reply;
} structs[RPC_OP_END] = { RPC_OPS(X) };
#undef X

static const char *
kind(enum rpc_kind k)
{
	switch (k) {
	case RPC_K_NONE:
		return NULL;
	case RPC_K_LOOKUP:
		return "component or dots";
	case RPC_K_COMP:
		return "component";
	case RPC_K_TARGET:
		return "link target";
	case RPC_K_XATTR:
		return "attribute name";
	}
	return "?";
}

/* A sentence a line, as mdoc(7) wants it. */
static void
print_sentences(const char *s)
{
	for (; *s != '\0'; s++)
		putchar(s[0] == ' ' && s[-1] == '.' ? '\n' : s[0]);
	putchar('\n');
}

static void
print_op(uint16_t nr, const struct rpc_op *op)
{
	printf(".It Cm %s Pq %u\n", op->name, nr);
	print_sentences(does[nr] != NULL ? does[nr] : "Not described.");
	printf(".br\nRequest\n.Vt rpc_%s ,\n%u bytes", structs[nr].request, op->request);
	if (op->xmax > 0)
		printf(", up to %u elements of %u bytes", op->xmax, op->xsize);
	if (kind(op->n1) != NULL)
		printf(", %s", kind(op->n1));
	if (kind(op->n2) != NULL)
		printf(", %s", kind(op->n2));
	if (op->arena == RPC_A_IN)
		printf(", data in the arena");
	if (op->arena == RPC_A_OUT)
		printf(", room in the arena");
	printf(".\n.br\nReply\n.Vt rpc_%s ,\n%u bytes", structs[nr].reply, op->reply);
	if (kind(op->reply_name) != NULL)
		printf(", %s", kind(op->reply_name));
	if ((op->flags & RPC_OP_FD) != 0)
		printf(", perhaps a file descriptor");
	puts(".");
	if ((op->flags & RPC_OP_MUTATES) != 0)
		puts("Changes the share.");
	if ((op->flags & RPC_OP_ONCE) != 0)
		puts("Not done twice: journalled.");
}

int
main(void)
{
	for (uint16_t nr = RPC_NO_OP + 1; nr < RPC_OP_END; nr++) {
		const struct rpc_op *op = rpc_op(nr);

		if (op == NULL)
			continue;
		print_op(nr, op);
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
