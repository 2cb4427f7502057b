/* (being written) */
#ifndef CANON_H
#define CANON_H
#endif
