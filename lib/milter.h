/* (being written) */
#ifndef MILTER_H
#define MILTER_H
#endif
