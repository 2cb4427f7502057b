# maild: make, make run, make test. Settings of the program are in config.h, those of the build here.
.POSIX:

CC = musl-gcc
PREFIX = /usr/local
# A BearSSL built elsewhere: make BEARSSL=DIR with DIR/inc and DIR/build/libbearssl.a (its own layout)
BEARSSL =
CONFIG = config.h
VECTORS = ../shared/vectors
CFLAGS = -std=c11 -pedantic -Wall -Wextra -Wshadow -Wwrite-strings -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Os -g -fstack-protector-strong
LDFLAGS = -static -Wl,-z,relro,-z,now
OUT = build
BIN = maild

ROOMS = mail.c smtp.c pop3.c guard.c user.c box.c store.c tls.c admin.c
LIB = lib/addr.c lib/dot.c lib/fs.c lib/ip.c lib/journal.c lib/log.c lib/loop.c lib/mbox.c \
	lib/pem.c lib/sasl.c lib/scram.c lib/text.c lib/x509.c
HDR = mail.h $(CONFIG) lib/addr.h lib/dot.h lib/fs.h lib/ip.h lib/journal.h lib/log.h lib/loop.h \
	lib/mbox.h lib/pem.h lib/sasl.h lib/scram.h lib/text.h lib/x509.h

all: $(BIN)

$(BIN): $(ROOMS) $(LIB) $(HDR) test/build
	CC="$(CC)" CFLAGS="$(CFLAGS)" LDFLAGS="$(LDFLAGS)" BEARSSL="$(BEARSSL)" CONFIG="$(CONFIG)" \
		sh test/build $@ $(ROOMS) $(LIB)
