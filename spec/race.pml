/* A trip and a release in one cycle, and in the cycles until the release is on disk (rule 7).
 *
 * A cycle reads, then decides demands, then what people ask for, then acts on releases that are on
 * disk. A demand voids every release that has not acted.
 *
 * Each -D below is one wrong order: with it the property must fail (tests/spec).
 *   RELEASE_FIRST  releases act before the cycle's demands are decided, with the old reading
 *   NO_VOID        a demand leaves a granted release standing, which then acts by itself
 *   NO_LOOK_NO_VOID  nor is the reading looked at again when the release acts
 */

#define CYCLES 6

bool high = false;      /* the head reads at or above trip, this cycle */
bool latched = true;
bool granted = false;
bool on_disk = false;
bool closed = false;    /* the contact, as wanted at the end of the cycle */
bool tripped_since = false;  /* a trip since the release was granted */
byte cycle = 0;

inline observe() {
    if
    :: high = true
    :: high = false
    fi
}

inline demand() {
    if
    :: high ->
        latched = true;
        tripped_since = true;
#if !defined(NO_VOID) && !defined(NO_LOOK_NO_VOID)
        granted = false;
        on_disk = false
#endif
    :: else
    fi
}

inline ask() {
    if
    :: latched && !high && !granted -> granted = true; on_disk = false; tripped_since = false
    :: skip
    fi
}

inline act() {
    if
#ifdef NO_LOOK_NO_VOID
    :: granted && on_disk -> latched = false; granted = false
#else
    :: granted && on_disk && !high -> latched = false; granted = false
#endif
    :: else
    fi
}

inline sync() {
    if
    :: granted -> on_disk = true
    :: skip
    fi
}

active proctype daemon() {
    do
    :: cycle < CYCLES ->
        atomic {
#ifdef RELEASE_FIRST
            act();
            closed = !latched;
            observe();
            demand();
#else
            observe();
            demand();
            ask();
            act();
            closed = !latched;
#endif
            assert(!(closed && high));
            assert(!(closed && tripped_since));
            sync();
#ifdef RELEASE_FIRST
            ask();
#endif
            cycle++
        }
    :: else -> break
    od
}
