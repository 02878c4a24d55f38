/* What survives a crash between acting and writing down (ARCHITECTURE.md, rules 5 and 6).
 *
 * A trip acts at once and is written down beside it; a release is written down first and acts once
 * that is on disk. The daemon may die between any two steps. The relay keeps its contact while the
 * daemon is down, or drops it open. At a start the daemon holds open what the disk says, what the
 * contact shows, and what does not answer.
 *
 * Each -D below is one wrong order: with it the property must fail (tests/spec).
 *   RESTART_DISK        what the disk says, and nothing else
 *   RESTART_IF_ANSWERED what the disk says, or the contact where it answers
 *   RESTART_NOT_RELEASED open unless the newest entry is a release
 *   RELEASE_ACTS_FIRST  a release closes the contact and is written down afterwards
 *   RELEASE_UNSYNCED    a release acts when it is written, before it is on disk
 */

#define CRASHES 2
#define TRIPS 2

mtype = { nothing, tripped, released }

bool owed = false;      /* a trip acted, and no release of it is on disk */
bool open = false;      /* the relay's contact: open cuts power */
bool latched = false;   /* what the running daemon holds */
mtype written = nothing; /* the newest entry, synced or not */
mtype disk = nothing;   /* the newest entry that a crash leaves */
bool dirty = false;     /* entries wait to be synced */
bool gas = false;
bool asked = false;
bool dead = false;

active proctype mine() {
    byte n = 0;
    do
    :: n < TRIPS && !gas -> gas = true; n++
    :: gas -> gas = false
    :: break
    od
}

active proctype people() {
    byte n = 0;
    do
    :: n < TRIPS -> asked = true; n++
    :: break
    od
}

/* The disk syncs whenever it likes. */
active proctype store() {
    do
    :: atomic { !dead && dirty ->
            if
            :: written == released -> owed = false
            :: else
            fi;
            disk = written;
            dirty = false
        }
    od
}

/* The daemon may die between any two of its steps; what was not synced is lost. */
active proctype death() {
    byte n = 0;
    do
    :: n < CRASHES -> atomic { !dead -> dead = true; n++; written = disk; dirty = false }
    :: break
    od
}

inline trip() {
    atomic { latched = true; open = true; owed = true };
    atomic { written = tripped; dirty = true }
}

inline release() {
#ifdef RELEASE_ACTS_FIRST
    atomic { latched = false; open = false };
    atomic { written = released; dirty = true }
#else
    atomic { written = released; dirty = true };
    if
    :: atomic { gas -> skip }        /* a demand meanwhile wins: the release is void */
#ifdef RELEASE_UNSYNCED
    :: atomic { !gas -> latched = false; open = false }
#else
    :: atomic { !dirty && !gas -> latched = false; open = false }
#endif
    fi
#endif
}

active proctype daemon() {
    bool answers;
again:
    {
        do
        :: gas && !latched -> trip()
        :: latched && asked && !gas -> asked = false; release()
        :: atomic { gas && latched && !owed -> owed = true; written = tripped; dirty = true }
        od
    } unless { dead };

    if                                  /* the relay keeps its contact, or drops it */
    :: skip
    :: open = true
    fi;
    if
    :: answers = true
    :: answers = false
    fi;
    atomic {
#if defined(RESTART_DISK)
        latched = (disk == tripped);
#elif defined(RESTART_IF_ANSWERED)
        latched = (disk == tripped) || (answers && open);
#elif defined(RESTART_NOT_RELEASED)
        latched = (disk != released);
#else
        latched = (disk == tripped) || !answers || open;
#endif
        open = latched;
        dead = false
    };
    goto again
}

ltl power_stays_off { [] (owed -> open) }
