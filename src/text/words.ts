/**
 * The words of synthesised answers, by the place they take in a sentence. Verbs are in the past tense
 * and articles fit singular and plural, so that any choice is grammatical. A word that is not one
 * token in a vocabulary (with the space before it) is left out there; most are one in all.
 */

const list = (words: string): readonly string[] => words.trim().split(/\s+/);

export const WORDS = {
  /** Begin a noun phrase. */
  determiner: list(`the the the the this that each every another one our their its his her my some
    any`),
  noun: list(`server model request user team system network city river market school house engine
    company paper method result problem answer question story garden window table road bridge train
    ship island mountain forest village teacher student doctor writer reader driver farmer artist
    player leader friend child family group number letter picture song film book page word language
    idea plan project report study test theory value price cost budget order contract service product
    machine tool device signal message image record list map path link node cache memory token batch
    queue block layer weight process task job step stage phase cycle season morning evening night
    summer winter storm wind rain light shadow color shape size weight field farm kitchen office
    store library museum station airport hospital court church army nation region border coast
    planet star moon animal bird horse dog cat fish tree flower stone glass metal paper wood wall
    door room floor roof corner street park beach lake valley hill camp trail tower castle temple
    agent author chef coach clerk judge king queen captain soldier worker owner partner neighbor
    stranger visitor guest customer client expert engineer designer manager director editor scientist
    version change feature function pattern structure design detail example sample source target
    measure standard limit rule policy law rate level score signal trend theme topic subject matter
    reason purpose effect impact benefit risk chance choice decision view opinion belief habit skill
    lesson course program class exam grade prize event meeting visit trip journey walk race game
    match season team crowd audience stage show concert dinner lunch meal bread coffee tea water milk`),
  adjective: list(`small large new old young early late quick slow quiet loud bright dark warm cold
    long short tall wide narrow deep simple complex clear strong weak heavy light soft hard rich poor
    full empty open local global public private common rare modern ancient famous strange gentle
    careful honest proud brave calm clean dirty fresh dry wet smooth rough sharp round flat final
    first second third next last recent current previous main major minor special normal regular
    useful important popular serious practical natural original typical steady stable rapid sudden
    single double green red blue white black golden silver wooden distant nearby hidden curious
    patient busy lonely happy grateful nervous reliable efficient accurate precise formal technical
    central northern southern eastern western`),
  /** Take an object. */
  verb: list(`found made took gave kept left held saw built wrote read sent received changed moved
    opened closed carried followed crossed reached passed watched studied tested measured counted
    checked compared described explained showed taught learned remembered answered asked wanted
    needed used chose shared sold bought paid drew painted cleaned repaired replaced improved reduced
    increased produced created designed developed managed planned directed supported protected
    served joined visited entered covered filled crossed caught touched pulled pushed raised
    dropped turned fixed loved liked admired trusted helped met knew understood considered noticed
    discovered examined reviewed accepted rejected ignored avoided mentioned reported recorded`),
  /** Take none. */
  intransitive: list(`worked waited arrived stayed returned continued began started stopped ended
    moved changed grew rose fell improved appeared disappeared happened succeeded failed slept
    walked traveled listened smiled laughed remained survived recovered finished`),
  adverb: list(`slowly quickly quietly carefully often always never sometimes usually rarely finally
    suddenly clearly simply nearly almost easily directly together again later soon gently firmly
    gradually mostly largely partly briefly properly closely openly safely`),
  preposition: list(`in on at near under over behind beside across around through from with without
    before after during inside outside beyond against toward above below along between among`),
  conjunction: list(`and but so while because although when until since as whereas unless`),
  and: ['and'],
  /** Begin a sentence, with a comma after them. */
  opener: list(`however therefore meanwhile instead moreover indeed later today yesterday afterwards
    eventually finally usually often sometimes perhaps surprisingly overall first second next`),
} as const;

/**
 * Sentences as slots: a letter per token. `D` determiner, `N` noun, `A` adjective, `V` verb with an
 * object, `I` verb without, `R` adverb, `P` preposition, `C` conjunction, `&` and, `O` opener; comma, full stop
 * and question mark are themselves. The first slot is capitalised.
 */
export const SENTENCES = list(`
  DNI. DNIR. DANI. DNVDN. DNRVDN. DANVDN. DNVDAN. DNIPDN. DANIPDN. DNVDNPDN. DNRVDNPDN.
  DANVDANPDN. DNIPDAN,CDNI. DNVDN,CDNI. DNVDN,CDNVDN. DANVDN,CDNIR. DNIPDN,CDANVDN.
  DANVDAN,CDNVDNPDN. O,DNI. O,DNVDN. O,DANVDAN. O,DNIPDN. O,DNVDNPDN. O,DNRVDANPDN.
  PDN,DNI. PDAN,DNVDN. PDN,DANVDAN. PDNPDN,DNIR. CDNI,DNVDN. CDNVDN,DNI. CDANI,DANVDN.
  DNPDNI. DNPDNVDAN. DNPDANVDN,CDNI. DNVDN&DN. DN&DNI. DN&DNVDAN. DNVDN,DAN,&DAN. RDNI. RDNVDAN.
  DNIRCDNVDN. DANIPDNPDAN. DNVDNPDANPDN. DNVDAN&DANPDN. DAANI. DAANVDN. DNVDAANPDN.
`);
